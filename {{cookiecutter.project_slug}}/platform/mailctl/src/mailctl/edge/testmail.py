"""One test mail: signed by rspamd, posted to the API as the Worker does, and waited for in the mailbox."""

import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from uuid import uuid4

from mailctl.core.compose import Compose
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.edge.host import SecretFiles

POLL_SECONDS = 1.0
POST_TIMEOUT_SECONDS = 30.0
SIGN_TOOL = "/etc/rspamd/bin/sign"
API_TOKENS = "mailserver_api_tokens"
ALIASES = "mysql:/run/postfix/sql/aliases.cf"


def reached(context: Context, address: str) -> str:
    """The first mailbox that Postfix delivers an address to. Raises Refused when there is none."""
    try:
        said = Compose(context.repo).run("exec", "-T", "postfix", "postmap", "-q", address, ALIASES)
    except Refused as refusal:
        wrong = "reaches no mailbox, or postfix does not run: reports would get lost"
        problem = Problem(address, wrong, "make a mailbox, or name another recipient with --to")
        raise Refused(problem, details=refusal.details) from None
    return said.partition(",")[0].strip()


@dataclass
class Probe:
    """A message from and to the same address of our own."""

    context: Context
    address: str

    def __post_init__(self) -> None:
        self.compose = Compose(self.context.repo)
        domain = self.address.partition("@")[2]
        self.id = f"<edge-check-{uuid4().hex}@{domain}>"
        self.raw = self._text()

    def _text(self) -> str:
        """ASCII, short lines, CRLF: nothing on the way has a reason to change it."""
        fields = {
            "From": self.address,
            "To": self.address,
            "Subject": "Test mail of mailctl edge check",
            "Date": format_datetime(datetime.now(UTC)),
            "Message-ID": self.id,
            "MIME-Version": "1.0",
            "Content-Type": "text/plain; charset=us-ascii",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{head}\r\nIt came through the whole path and may be deleted.\r\n"

    def sign(self) -> str:
        """Put rspamd's DKIM signature on top and return its selector. Raises Refused when there is none."""
        words = ("exec", "-T", "rspamd", "bash", SIGN_TOOL, self.address)
        try:
            signature = json.loads(self.compose.run(*words, stdin=self.raw))["dkim-signature"]
        except (ValueError, KeyError):
            wrong, fix = "rspamd does not sign for this address", "make dkim-status shows the domain's keys"
            raise Refused(Problem("signature", wrong, fix, value=self.address)) from None
        self.raw = f"DKIM-Signature: {signature}\r\n{self.raw}"
        tags = dict(part.strip().partition("=")[::2] for part in signature.split(";"))
        return str(tags.get("s", ""))

    def post(self, door: str, secrets: SecretFiles) -> str:
        """Hand it to the API and return the answer's text. Raises Refused for anything but 200."""
        import httpx

        headers = {
            "Authorization": f"Bearer {secrets.text(API_TOKENS)}",
            "Content-Type": "message/rfc822",
            "X-Envelope-From": self.address,
            "X-Envelope-To": self.address,
        }
        url = f"{door}/v1/messages"
        try:
            answer = httpx.post(url, content=self.raw.encode(), headers=headers, timeout=POST_TIMEOUT_SECONDS)
        except httpx.HTTPError as error:
            fix = "does cloudflared run (make status), and is COMPOSE_PROFILES=edge in .env?"
            raise Refused(Problem("mailserver-api", f"does not answer: {error}", fix, value=url)) from None
        if answer.status_code != 200:
            wrong, fix = (
                f"answers {answer.status_code}: {answer.text[:200]}",
                ADVICE.get(answer.status_code, LOGS),
            )
            raise Refused(Problem("mailserver-api", wrong, fix, value=url))
        return answer.text.strip()

    def wait(self, seconds: float) -> float:
        """Seconds until it lay in the mailbox; it is removed there. Raises Refused when it does not come."""
        begin, pause = time.monotonic(), threading.Event()
        query = ("mailbox", "*", "header", "message-id", self.id)
        while not self._doveadm("search", *query).strip():
            if time.monotonic() - begin > seconds:
                wrong = f"was accepted and is in no mailbox of {self.address} after {seconds:.0f} seconds"
                raise Refused(
                    Problem("test mail", wrong, "docker compose logs postfix dovecot", value=self.id)
                )
            pause.wait(POLL_SECONDS)
        taken = time.monotonic() - begin
        self._doveadm("expunge", *query)
        return taken

    def _doveadm(self, action: str, *query: str) -> str:
        return self.compose.run("exec", "-T", "dovecot", "doveadm", action, "-u", self.address, *query)


LOGS = "docker compose logs mailserver-api postfix"
ADVICE = {
    401: "does the API know the token of secrets/mailserver_api_tokens? docker compose up -d mailserver-api",
    404: "make a mailbox for that address in the administration, or name another one with --to",
    503: "a part of the mail server is down: make status",
}
