"""The Email Worker in workerd, its real runtime, and a sender that tries again as a mail server does."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic
from urllib.parse import urlencode

import httpx

from tests.ports import free_port
from tests.stack.stack import Stack, eventually

HERE = Path(__file__).parent / "workerd"
# Longer than the Worker's own limit, so that the Worker decides.
LONGEST = 60


@dataclass(frozen=True)
class Outcome:
    """What the Worker did: "accepted", "rejected" (a bounce with `text`) or "thrown" (try again later)."""

    did: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.did}: {self.text}" if self.text else self.did


def install(folder: Path) -> Path:
    """Install the pinned workerd into a folder and return its program."""
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    subprocess.run(["npm", "ci", "--silent", "--prefer-offline"], cwd=folder, check=True, timeout=600)
    programs = [*folder.glob("node_modules/@cloudflare/workerd-*/bin/workerd")]
    assert programs, f"npm installed no workerd for this machine: {[*folder.glob('node_modules/*/*')]}"
    return programs[0]


@dataclass
class Worker:
    """The Worker of a generated repository, connected to the mailserver-api of its running stack."""

    stack: Stack
    program: Path
    sender: str = "writer@sender.example"
    http: httpx.Client = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self, folder: Path) -> None:
        """Start workerd on the repository's own worker.js, and wait until it listens."""
        source = self.stack.repository / "platform" / "email-worker"
        date = json.loads((source / "package.json").read_text())["config"]["compatibility_date"]
        port = free_port()
        shutil.copy(source / "worker.js", folder)
        shutil.copy(HERE / "harness.js", folder)
        config = (HERE / "config.capnp").read_text()
        config = config.replace("COMPATIBILITY_DATE", date).replace("PORT", str(port))
        (folder / "config.capnp").write_text(config)
        self.process = subprocess.Popen(
            [self.program, "serve", "config.capnp"],
            cwd=folder,
            env={**os.environ, "API_URL": self.stack.info["api"], "API_TOKEN": self.token},
            stdout=(folder / "worker.log").open("wb"),
            stderr=subprocess.STDOUT,
        )
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            timeout=LONGEST,
            # A connection each: workerd may close an idle one just as a mail takes it.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
        )
        eventually(lambda: socket.create_connection(("127.0.0.1", port), 1).close() is None)

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(30)

    @property
    def token(self) -> str:
        return Path(self.stack.info["api_token_file"]).read_text().split()[0]

    def send(
        self,
        raw: bytes | Iterable[bytes],
        to: str,
        *,
        sender: str | None = None,
        size: int | None = None,
        **bindings: str,
    ) -> Outcome:
        """Hand the Worker one mail for one recipient. Blocks instead of bytes come as slowly as given.

        `bindings` (API_TOKEN, TIMEOUT_SECONDS …) replace the Worker's own for this mail.
        """
        size = len(raw) if isinstance(raw, bytes) else size
        query = {"from": self.sender if sender is None else sender, "to": to, "size": str(size), **bindings}
        answer = self.http.post("/", params=urlencode(query), content=raw)
        assert answer.status_code == 200, f"the harness, not the Worker: {answer.status_code} {answer.text}"
        return Outcome(**answer.json())

    def deliver(self, raw: bytes, to: str, *, limit: float = 120, every: float = 1, **words: str) -> Outcome:
        """Send as a mail server does, trying again what was thrown, for `limit` seconds; the last outcome."""
        end, pause = monotonic() + limit, Event()
        while (outcome := self.send(raw, to, **words)).did == "thrown" and monotonic() < end:
            pause.wait(every)
        return outcome


def running(stack: Stack, program: Path, folder: Path) -> Iterator[Worker]:
    """A started Worker; it ends with the iterator."""
    worker = Worker(stack, program)
    worker.start(folder)
    try:
        yield worker
    finally:
        worker.stop()
