"""The Email Worker in miniflare (Cloudflare's runtime with R2, KV, cron and outgoing mail), and its API."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from time import monotonic, time
from urllib.parse import urlencode

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.api.smtp_server import SmtpServer
from tests.places import PLATFORM, TEMPLATE
from tests.ports import free_port

HERE = Path(__file__).parent / "miniflare"
WORKER = PLATFORM / "email-worker"
TOKEN = "token-of-the-tests-of-the-edge-00001"  # noqa: S105
ADMIN, ALARM = "admin@elsewhere.example", "alarm@here.example"
#: A mail is first handed in so long after it came, in seconds.
FIRST = 60
#: So long, in seconds, nobody else is given the addresses that a Worker forwards a mail to.
LEASE = 5
#: So long, in seconds, a call of the tests themselves may take on a busy machine.
LONGEST = 300


def until(look, limit: float = 120.0) -> None:
    """Wait until `look()` is true, at most `limit` seconds."""
    end, pause = monotonic() + limit, threading.Event()
    while not look():
        assert monotonic() < end, "the condition was never met"
        pause.wait(0.005)


def install(folder: Path) -> Path:
    """Install the pinned miniflare with the Worker and the harness; returns the folder."""
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    shutil.copy(WORKER / "worker.js", folder)
    shutil.copy(TEMPLATE / "tests" / "stack" / "workerd" / "harness.js", folder / "routing.js")
    subprocess.run(["npm", "ci", "--silent", "--prefer-offline"], cwd=folder, check=True, timeout=600)
    return folder


@dataclass
class Edge:
    """A running Worker; `state` outlives it. Kill and start it as often as you like."""

    program: Path
    state: Path
    api: str
    spool: bool = True
    alarms: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    #: Seconds that a sender's server waits for an answer.
    patience: float = 120

    def start(self) -> None:
        port = free_port()
        date = json.loads((WORKER / "package.json").read_text())["config"]["compatibility_date"]
        known = {"API_URL": self.api, "API_TOKEN": TOKEN, "ALARM_TO": ADMIN, "ALARM_FROM": ALARM}
        options = {
            **{"port": port, "date": date, "folder": str(self.state), "variables": known | self.variables},
            **{"spool": self.spool, "alarms": self.alarms},
        }
        self.state.mkdir(exist_ok=True)
        self._log = self.state / "log"
        # A process group of its own: Cloudflare's runtime is a child of node, and is killed with it.
        self._process = subprocess.Popen(
            ["node", "serve.mjs", json.dumps(options)],
            **{
                "cwd": self.program,
                "start_new_session": True,
                "env": os.environ | {"TMPDIR": str(self.state)},
            },
            **{"stdout": self._log.open("ab"), "stderr": subprocess.STDOUT},
        )
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            timeout=self.patience,
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )
        until(lambda: self._is_up(port), LONGEST)

    def _is_up(self, port: int) -> bool:
        assert self._process.poll() is None, self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def kill(self) -> None:
        """At once, as a power cut does."""
        self.http.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(120)

    def log(self) -> str:
        return self._log.read_text()

    def send(
        self,
        raw: bytes,
        *,
        sender: str = "a@sender.example",
        to: str = "b@here.example",
        headers: dict[str, str] | None = None,
        **bindings: str,
    ) -> str:
        """One mail for one recipient: "accepted", "thrown: why" or "rejected: why"."""
        query = {
            "from": sender,
            "to": to,
            "size": len(raw),
            "headers": json.dumps([*(headers or {}).items()]),
        }
        answer = self.http.post("/", params=urlencode(query | bindings), content=raw)
        assert answer.status_code == 200, f"the harness, not the Worker: {answer.text}\n{self.log()}"
        said = answer.json()
        return f"{said['did']}: {said['text']}" if said["text"] else said["did"]

    def cron(self, later: float = FIRST + 1) -> None:
        """A minute of the cron trigger, `later` seconds from now."""
        # One call hands in many mails: nobody who sends waits for it.
        now = {"now": str(int((time() + later) * 1000))}
        answer = self.http.post("/cron", params=now, timeout=LONGEST)
        assert answer.status_code == 200, f"{answer.text}\n{self.log()}"

    def objects(self, prefix: str = "mail/") -> list[dict[str, str]]:
        """What the bucket holds, in the order of its keys."""
        found = self.http.get("/objects", timeout=LONGEST).json()
        return [each for each in found if each["key"].startswith(prefix)]

    def alarms_sent(self) -> list[EmailMessage]:
        """What the send_email binding was given."""
        # The log is coloured; the path is a line of its own.
        paths = re.findall(r"send_email binding called with the following message:\s+(\S+\.eml)", self.log())
        return [message_from_bytes(Path(path).read_bytes(), policy=policy.default) for path in paths]


@dataclass
class Postfix:
    """The mail server behind the API. While it holds, it has a message and gives no answer."""

    smtp: SmtpServer
    portal: BlockingPortal

    def hold(self) -> None:
        self.portal.call(self.smtp.hold.clear)

    def release(self) -> None:
        self.portal.call(self.smtp.hold.set)

    def marks(self) -> list[str]:
        """The subjects of what it took, in the order in which it took them."""
        return [
            mail.content.partition(b"Subject: ")[2].split(b"\r\n")[0].decode() for mail in self.smtp.delivered
        ]


@contextmanager
def postfix() -> Iterator[Postfix]:
    """A running one, in a thread of its own."""
    with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(SmtpServer()) as smtp:
        yield Postfix(smtp, portal)


@dataclass
class Api:
    """mailserver-api, the real process with its ledger; `state` outlives it."""

    state: Path
    smtp: SmtpServer
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        tokens = self.state / "tokens"
        tokens.write_text(TOKEN)
        environment = {
            "PYTHONPATH": str(PLATFORM / "mailserver-api" / "src"),
            **{"TOKENS_FILE": str(tokens), "STATE_DIR": str(self.state), "PORT": str(self.port)},
            **{"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(self.smtp.port)},
            "MONITOR_FILE": str(self.state / "monitor.json"),
            # The mail server of the tests plays the filter, too.
            **{"FILTER_HOST": "127.0.0.1", "FORWARD_LEASE_SECONDS": str(LEASE)},
        }
        command = [sys.executable, "-m", "mailserver_api"]
        with (self.state / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
        until(self._is_up)

    def _is_up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """At once, as a power cut does."""
        assert self._process
        self._process.kill()
        self._process.wait(120)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(120)

    def monitor(self, **document: object) -> None:
        """What the monitor of this host leaves for the API."""
        (self.state / "monitor.json").write_text(json.dumps({"version": 1, **document}))

    def get(self, path: str) -> httpx.Response:
        return httpx.get(
            f"{self.url}{path}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=LONGEST,
            trust_env=False,
        )
