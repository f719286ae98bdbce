"""What AWS answers and moto does not, put between boto3 and moto. Each rule names where AWS says so."""

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: Method, path with query, and the status that moto gave -> status, code and headers instead; None: as it is.
Rule = Callable[[str, str, int], tuple[int, str, dict[str, str]] | None]


def unlisted(method: str, path: str, status: int) -> tuple[int, str, dict[str, str]] | None:
    """HEAD of what is not there, by a key that may not list without a prefix.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html, "Permissions": 403 without
    s3:ListBucket; the uploader has it for listings below its prefix only, and HEAD has no prefix.
    """
    return (403, "AccessDenied", {}) if method == "HEAD" and status == 404 else None


def slow(times: int) -> Rule:
    """The first answers are SlowDown, 503: https://repost.aws/knowledge-center/http-5xx-errors-s3."""
    left = threading.Semaphore(times)

    def rule(method: str, path: str, status: int) -> tuple[int, str, dict[str, str]] | None:
        return (503, "SlowDown", {}) if left.acquire(blocking=False) else None

    return rule


def elsewhere(method: str, path: str, status: int) -> tuple[int, str, dict[str, str]]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: PermanentRedirect, 301."""
    return (301, "PermanentRedirect", {"x-amz-bucket-region": "eu-west-1"})


def unknown_key(method: str, path: str, status: int) -> tuple[int, str, dict[str, str]]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: InvalidAccessKeyId, 403."""
    return (403, "InvalidAccessKeyId", {})


@dataclass
class Between:
    """A proxy before `endpoint`; `cut`: the body of so many parts is read, and the connection then closed."""

    endpoint: str
    rule: Rule
    cut: int = 0
    calls: list[str] = field(default_factory=list)

    def __enter__(self) -> str:
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                between.answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        body = asked.rfile.read(int(asked.headers.get("Content-Length") or 0))
        self.calls.append(f"{asked.command} {asked.path}")
        if "partNumber=" in asked.path and self.cut:
            self.cut -= 1
            asked.close_connection = True
            return
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=30)
        headers = {name: value for name, value in asked.headers.items() if name.lower() != "expect"}
        connection.request(asked.command, asked.path, body, headers)
        got = connection.getresponse()
        content, status, given = got.read(), got.status, dict(got.getheaders())
        if changed := self.rule(asked.command, asked.path, status):
            status, code, extra = changed
            content = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
            given = {"Content-Type": "application/xml", **extra}
        asked.send_response(status)
        for name, value in given.items():
            if name.lower() not in ("connection", "content-length", "transfer-encoding", "server", "date"):
                asked.send_header(name, value)
        length = (
            given.get("Content-Length", "0") if asked.command == "HEAD" and not changed else str(len(content))
        )
        asked.send_header("Content-Length", length)
        asked.end_headers()
        if asked.command != "HEAD":
            asked.wfile.write(content)
