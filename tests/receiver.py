"""A receiver of alarms outside of everything: takes what apprise posts to a json:// URL."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver(ThreadingHTTPServer):
    """`got` has what came, in its order; while `refuses`, it answers 500 and takes nothing."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.got: list[dict[str, Any]] = []
        self.refuses = False
        super().__init__((address, 0), _Handler)

    @property
    def url(self) -> str:
        address, port = self.server_address[:2]
        return f"json://user:secret@{address!s}:{port}/alarms"

    @property
    def subjects(self) -> list[str]:
        """Without the project in front."""
        return [one["title"].partition("] ")[2] for one in self.got]

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.refuses:
            self.server.got.append(json.loads(body))
        self.send_response(500 if self.server.refuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
