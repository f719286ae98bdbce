"""What the web entrance passes on of who Cloudflare Access let in: a real nginx, as it is configured.

usermgmt believes the header of nginx alone, so what nginx lets through decides whose word is looked at.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.generation.generate import config_file, render

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
HEADER, CLIENT = "Cf-Access-Jwt-Assertion", {"CF-Connecting-IP": "203.0.113.5"}
START_SECONDS = 20
WHOLE = """daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{ }}
http {{
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  include {folder}/mailserver.conf;
}}
"""


class Echo(BaseHTTPRequestHandler):
    """Answers with the headers that it got: usermgmt and the webmail in one."""

    def do_GET(self) -> None:
        """Each header by its name in small letters, as a WSGI server would call it."""
        said = json.dumps({name.lower().replace("_", "-"): text for name, text in self.headers.items()})
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A repository of the defaults."""
    folder = tmp_path_factory.mktemp("repository")
    return render({}, folder, config_file(folder))


@pytest.fixture(scope="module")
def answers(repository) -> dict[str, str]:
    return yaml.safe_load((repository / "answers.yml").read_text(encoding="utf-8"))


def on_this_machine(text: str, port: int, behind: int) -> str:
    """The configuration, with addresses of this machine for those of containers."""
    for written, here in (
        ("listen 80", f"listen 127.0.0.1:{port}"),
        ("http://usermgmt:8080", f"http://127.0.0.1:{behind}"),
        ("http://roundcube:8000", f"http://127.0.0.1:{behind}"),
        ("access_log /dev/stdout without_query", "access_log off"),
    ):
        assert written in text
        text = text.replace(written, here)
    return text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def ask(tmp_path_factory, repository, answers) -> Iterator[Callable[..., dict[str, str]]]:
    """What arrives behind nginx of a request to a host."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    echo = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    text = (repository / "config/nginx/mailserver.conf").read_text(encoding="utf-8")
    (folder / "mailserver.conf").write_text(on_this_machine(text, port, echo.server_port), encoding="utf-8")
    (folder / "nginx.conf").write_text(WHOLE.format(folder=folder), encoding="utf-8")
    folder.chmod(0o755)
    said = (folder / "said").open("wb")
    process = subprocess.Popen([NGINX, "-p", folder, "-c", folder / "nginx.conf"], stderr=said)

    def get(host: str, **headers: str) -> dict[str, str]:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/login", headers={"Host": host, **headers})
        return json.loads(connection.getresponse().read())

    end = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None and time.monotonic() < end, (folder / "said").read_text()
        try:
            get(answers["account_host"])
            break
        except OSError:
            continue
    yield get
    process.terminate()
    process.wait(10)
    echo.shutdown()
    said.close()


@pytest.mark.parametrize("site", ["account_host", "admin_host"])
def test_what_cloudflare_sends_along_reaches_accounts_and_administration(ask, answers, site):
    arrived = ask(answers[site], **{HEADER: "signed"}, **CLIENT)
    assert arrived[HEADER.lower()] == "signed"
    assert "cf-connecting-ip" not in arrived


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({HEADER: "forged"}, "it did not come by Cloudflare"),
        ({HEADER: "forged", "CF-Connecting-IP": ""}, "nobody is named"),
        ({HEADER.replace("-", "_"): "forged", **CLIENT}, "an application would take it for the same name"),
    ],
    ids=["without a client", "with an empty client", "under another spelling"],
)
def test_what_cloudflare_did_not_send_along_is_left_out(ask, answers, headers, why):
    assert HEADER.lower() not in ask(answers["account_host"], **headers), why


def test_the_webmail_never_sees_it(ask, answers):
    assert HEADER.lower() not in ask(answers["webmail_host"], **{HEADER: "signed"}, **CLIENT)
