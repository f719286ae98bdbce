"""The HTTP side: answers in Cloudflare's envelope, permissions, pages, rate limits, and faults on demand."""

import email.parser
import email.policy
import json
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fake_cloudflare.routes import Call, Route, find
from fake_cloudflare.state import SCOPES, Json, Refusal, State

TOKEN = "fake-token-that-must-never-be-printed-0123456789"  # noqa: S105
DEFAULT_PAGE = 20
ROOT = "/client/v4"


class FakeCloudflare(ThreadingHTTPServer):
    """`with FakeCloudflare("example.com") as fake: … fake.url, fake.token, fake.state`.

    `calls` are the requests so far. `fail(number, how)` spoils one to come, 0 being the next: "429" and "500"
    answer so once, "refused" is a 400, "down" closes the connection before the work and "lost" after it.
    """

    daemon_threads = True

    def __init__(self, zone: str = "example.com", port: int = 0, address: str = "127.0.0.1") -> None:
        super().__init__((address, port), _Handler)
        self.state = State(zone)
        self.token = TOKEN
        self.scopes = set(SCOPES)
        self.calls: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self.faults: dict[int, str] = {}
        # (method, "before" or "after", what to call then): for the next change of that kind.
        self.on_write: tuple[str, str, Callable[[], None]] | None = None
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]}:{self.server_address[1]}{ROOT}"

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "GET"]

    def fail(self, number: int, how: str) -> None:
        self.faults[len(self.calls) + number] = how

    def __enter__(self) -> "FakeCloudflare":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Json, bytes | None]:
        """Status, headers and body of the answer; None for a connection that breaks."""
        with self.lock:
            url = urlsplit(target)
            fault = self.faults.pop(len(self.calls), None)
            self.calls.append((method, url.path.removeprefix(ROOT)))
            if fault in ("429", "500"):
                refusal = Refusal(int(fault), 10000 if fault == "500" else 971, "Please wait")
                return _refused(refusal, {"Retry-After": "0.01"})
            if fault == "refused":
                return _refused(Refusal(400, 1004, f"refused as asked, for {headers.get('authorization')}"))
            if fault == "down":
                return 0, {}, None
            self._disturb(method, "before")
            try:
                answer = self._work(
                    method, url.path.removeprefix(ROOT), dict(parse_qsl(url.query)), headers, body
                )
            except Refusal as refusal:
                answer = _refused(refusal)
            self._disturb(method, "after")
            return (0, {}, None) if fault == "lost" else answer

    def _disturb(self, method: str, when: str) -> None:
        if self.on_write and self.on_write[:2] == (method, when):
            self.on_write[2]()

    def _work(
        self, method: str, path: str, query: Json, headers: Any, body: bytes
    ) -> tuple[int, Json, bytes | None]:
        found = find(method, path)
        if found is None:
            raise self._violation(
                f"{method} {path}: no such route", Refusal(404, 7000, "No route for that URI")
            )
        route, ids = found
        self._permit(route, headers)
        fields = _body(headers, body)
        unknown = [f"query {key}" for key in set(query) - route.query] + [
            f"field {key}" for key in _unknown(route, fields)
        ]
        if unknown:
            raise self._violation(f"{method} {path}: {unknown}", Refusal(400, 1004, f"unknown: {unknown}"))
        if float(query.get("per_page", 1)) > route.most:
            # The most is documented; what is answered to more is unknown.
            raise self._violation(
                f"{method} {path}: a page of more than {route.most}", Refusal(400, 1004, "page")
            )
        result = route.work(Call(self.state, ids, query, fields))
        if isinstance(result, tuple):
            return 200, {"Content-Type": result[0]}, result[1]
        return _enveloped(result, query if route.paged else None)

    def _permit(self, route: Route, headers: Any) -> None:
        if headers.get("authorization") != f"Bearer {self.token}":
            raise Refusal(401, 1000, "Invalid API Token")
        if route.scope == "routing_dns":
            allowed = self.state.routing_dns_allowed and "settings" in self.scopes
        else:
            allowed = route.scope in self.scopes
        if not allowed:
            raise Refusal(403, 10000, "Authentication error")

    def _violation(self, text: str, refusal: Refusal) -> Refusal:
        self.violations.append(text)
        return refusal


def _unknown(route: Route, fields: Any) -> Iterable[str]:
    if not isinstance(fields, dict):
        return ["(not an object)"] if fields is not None and route.fields else []
    return set(fields) - (route.fields or frozenset())


def _body(headers: Any, body: bytes) -> Any:
    if not body:
        return None
    kind = headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        return json.loads(body)
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    found: Json = {"files": {}}
    for part in form.iter_parts():
        content = part.get_payload(decode=True)
        name, file = (part.get_param(key, header="content-disposition") for key in ("name", "filename"))
        if file:
            found["files"][file] = (part.get_content_type(), content)
        else:
            found[str(name)] = json.loads(content)
    return found


def _enveloped(result: Any, pages: Json | None) -> tuple[int, Json, bytes]:
    document: Json = {"success": True, "errors": [], "messages": [], "result": result}
    if pages is not None:
        page, size = int(float(pages.get("page", 1))), int(float(pages.get("per_page", DEFAULT_PAGE)))
        document["result"] = result[(page - 1) * size : page * size]
        counts = {"count": len(document["result"]), "total_count": len(result)}
        document["result_info"] = {
            "page": page,
            "per_page": size,
            "total_pages": -(-len(result) // size),
            **counts,
        }
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


def _refused(refusal: Refusal, headers: Json | None = None) -> tuple[int, Json, bytes]:
    errors = [{"code": refusal.code, "message": refusal.message}]
    body = json.dumps({"success": False, "errors": errors, "messages": [], "result": None}).encode()
    return refusal.status, {"Content-Type": "application/json", **(headers or {})}, body


class _Handler(BaseHTTPRequestHandler):
    server: FakeCloudflare
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        status, headers, answer = self.server.answer(self.command, self.path, self.headers, body)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests look at what mailctl prints."""
