"""The last run's figures over HTTP on 127.0.0.1, for a Prometheus on this host: GET /metrics."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TYPE = "text/plain; version=0.0.4; charset=utf-8"


def server(file: Path, port: int) -> ThreadingHTTPServer:
    """A server of this file, not running yet. Raises OSError: the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            try:
                body = file.read_bytes() if self.path == "/metrics" else b""
            except OSError:
                body = b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A line each 15 seconds would fill the journal."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
