"""The web entrance as it is configured: a real nginx, and servers behind it that tell what reached them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests.ports import free_port

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
START_SECONDS = 180
WHOLE = """daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{ }}
http {{
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  include {folder}/mailserver.conf;
}}
"""


class Answer(NamedTuple):
    """nginx's status, and what reached the server behind it, None if nothing did."""

    status: int
    arrived: Any


Ask = Callable[..., Answer]


class Echo(BaseHTTPRequestHandler):
    """Answers with what it got."""

    def do_GET(self) -> None:
        """Each header by its name in small letters, as a WSGI server would call it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower().replace("_", "-"): text for name, text in self.headers.items()}
        got = {"method": self.command, "path": self.path, "headers": headers, "body": body}
        said = json.dumps(got | {"port": self.server.server_port}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Silent."""


def on_this_machine(text: str, port: int, usermgmt: int, roundcube: int) -> str:
    """The configuration, with addresses of this machine for those of containers."""
    for written, here in (
        ("listen 80", f"listen 127.0.0.1:{port}"),
        ("http://usermgmt:8080", f"http://127.0.0.1:{usermgmt}"),
        ("http://roundcube:8000", f"http://127.0.0.1:{roundcube}"),
        ("access_log /dev/stdout without_query", "access_log off"),
    ):
        assert written in text
        text = text.replace(written, here)
    return text


@contextmanager
def serving(repository: Path, folder: Path) -> Iterator[tuple[Ask, dict[int, str]]]:
    """Yields what asks nginx, and the names of the servers behind it by their ports."""
    port = free_port()
    behind = {name: ThreadingHTTPServer(("127.0.0.1", 0), Echo) for name in ("usermgmt", "roundcube")}
    for server in behind.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    text = (repository / "config/nginx/mailserver.conf").read_text(encoding="utf-8")
    text = on_this_machine(text, port, behind["usermgmt"].server_port, behind["roundcube"].server_port)
    (folder / "mailserver.conf").write_text(text, encoding="utf-8")
    (folder / "nginx.conf").write_text(WHOLE.format(folder=folder), encoding="utf-8")
    folder.chmod(0o755)
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf"], stderr=said)

        def ask(host: str, path: str = "/login", body: str | None = None, **headers: str) -> Answer:
            connection = HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET" if body is None else "POST", path, body, {"Host": host, **headers})
            answer = connection.getresponse()
            content = answer.read()
            return Answer(answer.status, json.loads(content) if content[:1] == b"{" else None)

        try:
            wait(process, port, folder)
            yield ask, {server.server_port: name for name, server in behind.items()}
        finally:
            process.terminate()
            process.wait(60)
            for server in behind.values():
                server.shutdown()


def wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    """Until nginx listens."""
    end = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None and time.monotonic() < end, (folder / "said").read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 10).close()
            return
        except OSError:
            continue
