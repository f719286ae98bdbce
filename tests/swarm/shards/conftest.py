"""The containers of the tests here, started once for a file."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.places import PLATFORM

sys.path[:0] = [str(PLATFORM / "mailctl/src"), str(PLATFORM / "usermgmt")]

from tests.swarm.shards.rig import Rig, started  # noqa: E402 - with the programs on the path
from tools import engine, standins  # noqa: E402
from tools.standin_images import Table  # noqa: E402


class Policy(BaseHTTPRequestHandler):
    """What usermgmt answers whoever does not guess."""

    asked: list[str] = []  # noqa: RUF012 - of the class, as the server makes an object for each question

    def do_POST(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "12")
        self.end_headers()
        self.wfile.write(b'{"status":0}')

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the test says what it saw."""


@pytest.fixture(scope="session")
def tags() -> dict[str, str]:
    """The stand-ins, built if they are missing."""
    engine.ensure(with_debootstrap=True)
    table = Table()
    with standins.shown_progress() as progress:
        standins.build(progress, table=table)
    return {image.name: table.built_tag(image) for image in table.images.values()}


@pytest.fixture(scope="module")
def rig(tags: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A proxy, two stores and their database."""
    folder = tmp_path_factory.mktemp("rig")
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == folder.stat().st_uid and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    with started(folder, tags) as running:
        server = ThreadingHTTPServer((running.gateway(), 8080), Policy)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield running
        server.shutdown()
        server.server_close()
