"""The socket inside the container: who comes by it is believed, and nobody who comes over the network."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import PACKAGE_FOLDER

from usermgmt import cli
from usermgmt.inside import INSIDE, Connection

ECHO = f"""
import json
from usermgmt.inside import MarkInside
def echo(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    said = {{"next": None, "inside": environ[{INSIDE!r}], "path": environ["PATH_INFO"]}}
    return [json.dumps(said).encode()]
app = MarkInside(echo)
"""
SECONDS = 120


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """gunicorn with the settings of the container, on a socket and a port of its own."""
    with tempfile.TemporaryDirectory(prefix="um") as folder:
        (Path(folder) / "echo.py").write_text(ECHO)
        path, log = f"{folder}/s", Path(folder) / "log"
        words = [sys.executable, "-m", "gunicorn", "--config", str(PACKAGE_FOLDER / "gunicorn.conf.py")]
        words += ["--bind", f"unix:{path}", "--bind", "127.0.0.1:0", "--worker-tmp-dir", folder, "echo:app"]
        environ = {"PYTHONPATH": f"{folder}:{PACKAGE_FOLDER}"}
        with (
            log.open("wb") as said,
            subprocess.Popen(words, stdout=said, stderr=said, env=environ) as process,
        ):
            try:
                yield path, wait(process, path, log)
            finally:
                process.terminate()


def wait(process: subprocess.Popen[bytes], path: str, log: Path) -> int:
    """The port, once it answers."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            with closing(Connection(path)) as connection:
                connection.ask("GET", "/", None, "")
            return int(log.read_text().partition("127.0.0.1:")[2].split()[0].split(",")[0].rstrip(")"))
        except (OSError, ValueError):
            assert process.poll() is None and time.monotonic() < end, log.read_text()


def test_only_who_comes_by_the_socket_is_inside(server: tuple[str, int]) -> None:
    path, port = server
    with closing(Connection(path)) as by_socket:
        assert json.loads(by_socket.ask("GET", "/x", None, "").body)["inside"] is True
    with closing(HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as over_network:
        over_network.request("GET", "/", headers={INSIDE: "True", "gunicorn.socket": "x"})
        assert json.loads(over_network.getresponse().read())["inside"] is False


def test_the_socket_is_for_the_user_of_the_container_alone(server: tuple[str, int]) -> None:
    assert stat.S_IMODE(Path(server[0]).stat().st_mode) == 0o600


def test_a_command_asks_there_and_says_when_nobody_answers(
    server: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "SOCKET", server[0])
    printed = json.loads(CliRunner().invoke(cli.cli, ["api", "GET", "/domains"]).output)
    assert printed["body"] == {"next": None, "inside": True, "path": "/api/v1/domains"}
    monkeypatch.setattr(cli, "SOCKET", "/nowhere")
    refused = CliRunner().invoke(cli.cli, ["api", "GET", "/domains"])
    assert refused.exit_code == 1 and "usermgmt does not answer" in refused.output


def test_a_call_imports_neither_the_database_nor_the_pages() -> None:
    code = (
        "import sys, usermgmt.cli; print([name for name in ('sqlalchemy', 'flask') if name in sys.modules])"
    )
    environ = {"PYTHONPATH": str(PACKAGE_FOLDER)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
