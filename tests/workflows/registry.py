"""A registry that speaks the part of the distribution API that an engine asks for a tag's digest."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST_TYPE = "application/vnd.oci.image.index.v1+json"


def manifest(name: str) -> bytes:
    """Return an index that is another one for each name, with nothing in it."""
    note = {"org.opencontainers.image.title": name}
    index = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "manifests": [], "annotations": note}
    return json.dumps(index).encode()


def digest(name: str) -> str:
    """Return the digest of a name's index."""
    return f"sha256:{hashlib.sha256(manifest(name)).hexdigest()}"


class Registry(ThreadingHTTPServer):
    """Knows every image but those in `unknown`; an engine takes loopback for a registry without TLS."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.unknown: set[str] = set()

    def __enter__(self) -> Registry:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name, _, rest = self.path.removeprefix("/v2/").partition("/manifests/")
        if self.path == "/v2/":
            self._send(200, b"{}", "application/json")
        elif not rest or name in self.server.unknown:
            body = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            self._send(404, json.dumps(body).encode(), "application/json")
        else:
            self._send(200, manifest(name), MANIFEST_TYPE, digest(name))

    do_HEAD = do_GET

    def _send(self, code: int, body: bytes, kind: str, content: str = "") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        if content:
            self.send_header("Docker-Content-Digest", content)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
