"""Whatever is sent, the service answers as its own description says, and never with a mistake of its own."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from calls import TOKEN
from smtp_server import SmtpServer

from tests.places import PLATFORM
from tests.ports import free_port

SOURCE = PLATFORM / "mailserver-api" / "src"


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    """A real process with an SMTP server behind it that takes everything."""
    folder, port = tmp_path_factory.mktemp("hostile"), free_port()
    (folder / "tokens").write_text(TOKEN)
    (folder / "monitor.json").write_text(json.dumps({"at": int(time.time()), "incidents": []}))
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCE),
        "TOKENS_FILE": str(folder / "tokens"),
        "STATE_DIR": str(folder / "state"),
        "MONITOR_FILE": str(folder / "monitor.json"),
        "SMTP_HOST": "127.0.0.1",
        "PORT": str(port),
    }
    with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(SmtpServer()) as smtp:
        environment["SMTP_PORT"] = str(smtp.port)
        log = (folder / "log").open("w")
        with (
            log,
            subprocess.Popen(
                [sys.executable, "-m", "mailserver_api"], env=environment, stdout=log
            ) as process,
        ):
            try:
                _until_alive(f"http://127.0.0.1:{port}")
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
        assert '"unexpected error"' not in (folder / "log").read_text()


def _until_alive(url: str) -> None:
    transport = httpx.HTTPTransport(retries=8)  # waits longer each time, about a minute in all
    with httpx.Client(transport=transport) as client:
        assert client.get(f"{url}/health").status_code == 200


CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "missing_required_header",
    "ignored_auth",
)


def test_every_call_that_the_description_suggests_has_an_answer_of_the_description(url: str, tmp_path):
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"{url}/openapi.json",
        "--seed=1",
        "--max-examples=40",
    ]
    command += [
        "--max-examples=40",
        "--checks",
        ",".join(CHECKS),
        "--header",
        f"Authorization: Bearer {TOKEN}",
        "--no-color",
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "raw_bodies", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


CALL = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n"
AUTHORIZED = (
    CALL + f"Authorization: Bearer {TOKEN}\r\nX-Envelope-From:\r\nX-Envelope-To: b@here.example\r\n".encode()
)
ATTACKS = {
    "no request at all": b"\0\xff\r\n\r\n",
    "a bare LF in a header": b"POST /v1/messages HTTP/1.1\nHost: x\nX-Envelope-To: a@b\rX: y\n\n",
    "10,000 headers": CALL + b"X-A: b\r\n" * 10_000 + b"\r\n",
    "a length below zero": CALL + b"Content-Length: -1\r\n\r\n",
    "two lengths": CALL + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "a length and chunks": AUTHORIZED + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk that is none": AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_a_call_that_is_no_http_is_refused(url: str, attack: bytes):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(attack)
        answer = connection.recv(100)
    assert answer.startswith(b"HTTP/1.1 4")
