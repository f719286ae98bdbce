"""The servers of addresses outside: they take what the Email Worker forwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GOOD, OTHER, BAD = "old@elsewhere.example", "two@elsewhere.example", "bad@elsewhere.example"
#: What Cloudflare says to the third of them, in the words of its API.
REFUSAL = "destination address is not verified"


class Outside:
    """What came, as mark of the mail and address. While its gate is closed, it takes a mail and is silent."""

    def __init__(self) -> None:
        self.url = ""
        self.came: list[tuple[str, str]] = []
        self.headers: set[tuple[str, str]] = set()
        self.gate = threading.Event()
        self.gate.set()

    def take(self, passed: dict) -> str:
        """One forward; why it is refused, or nothing."""
        if passed["to"] == BAD:
            return REFUSAL
        self.came.append((passed["mark"], passed["to"]))
        self.headers |= {tuple(pair) for pair in passed["headers"]}
        self.gate.wait(30)
        return ""


@contextmanager
def servers() -> Iterator[Outside]:
    """Running ones."""
    outside = Outside()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reason = outside.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if reason else 200)
            self.end_headers()
            self.wfile.write(reason.encode())

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    outside.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield outside
    finally:
        outside.gate.set()
        server.shutdown()
