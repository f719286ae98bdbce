"""A DNS server on UDP that answers with what is at the fake Cloudflare."""

import socketserver
import threading
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

TUNNEL_ADDRESS = "192.0.2.10"
#: What the includes of the SPF record say, by their names.
INCLUDES = {
    "_spf.mx.cloudflare.net": "v=spf1 ip4:192.0.2.0/24 -all",
    "sendgrid.net": "v=spf1 ip4:192.0.2.9 ~all",
}


class FakeDns(socketserver.ThreadingUDPServer):
    """`hidden` are names that are not seen yet, `failing` those that it cannot answer for.

    `extra` are records of other zones: (type, name) to texts.
    """

    daemon_threads = True

    def __init__(self, state: Any, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), _Handler)
        self.state = state
        self.hidden: set[str] = set()
        self.failing: set[str] = set()
        self.extra = {("TXT", name): [f'"{text}"'] for name, text in INCLUDES.items()}

    @property
    def address(self) -> str:
        return f"{self.server_address[0]}:{self.server_address[1]}"

    def __enter__(self) -> "FakeDns":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def alias(self, name: str) -> str:
        """What the name stands for; empty for a name of its own. A CNAME hides what is beside it."""
        records = [r for r in self.state.records.values() if r["name"] == name and self.state.is_alias(r)]
        return records[0]["content"] if records and name not in self.hidden else ""

    def texts(self, kind: str, name: str) -> list[str]:
        if name in self.hidden or kind == "CNAME":
            return []
        records = [r for r in self.state.records.values() if r["name"] == name]
        if kind == "A" and any(r["proxied"] for r in records):
            return [TUNNEL_ADDRESS]
        texts = [self._text(r) for r in records if r["type"] == kind]
        return texts + self.extra.get((kind, name), [])

    @staticmethod
    def _text(record: dict[str, Any]) -> str:
        content = record["content"]
        if record["type"] == "MX":
            return f"{record['priority']} {content}."
        if record["type"] == "SRV":
            return f"{' '.join(map(str, record['data'].values()))}."
        if record["type"] == "CNAME":
            return f"{content}."
        return content if record["type"] != "TXT" or content.startswith('"') else f'"{content}"'


class _Handler(socketserver.DatagramRequestHandler):
    server: FakeDns

    def handle(self) -> None:
        query = dns.message.from_wire(self.rfile.read())
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        question = query.question[0]
        kind, name = dns.rdatatype.to_text(question.rdtype), question.name.to_text(omit_final_dot=True)
        if name in self.server.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
        if alias := self.server.alias(name):
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "CNAME", f"{alias}."))
            name = alias
        texts = self.server.texts(kind, name)
        if texts:
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", kind, *texts))
        self.wfile.write(answer.to_wire(max_size=65535))
