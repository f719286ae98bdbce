"""A Postfix of the tests' own, from Debian's package: private folders and port, our master.cf."""

import asyncio
import contextlib
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.places import REPOSITORY
from tests.ports import free_port

MASTER = REPOSITORY / "config" / "postfix" / "master.cf"
POSTFIX = "/usr/sbin/postfix"
QUEUES = ("maildrop", "incoming", "active", "deferred")
MAIN = """
compatibility_level = 3.10
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.here.example
mydestination =
# As in the real one, where the API is no client whose mail is completed.
local_header_rewrite_clients =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_client_event_limit_exceptions =
message_size_limit = 200000
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = inline:{{ here.example=1 xn--bcher-kva.example=1 }}
virtual_mailbox_maps = inline:{{ b@here.example=b/ b@xn--bcher-kva.example=b/ }}
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_transport = virtual
virtual_minimum_uid = 1
smtpd_recipient_restrictions = reject_non_fqdn_recipient, reject_unauth_destination, reject_unlisted_recipient
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_end_of_data_restrictions = check_policy_service {{ inet:127.0.0.1:{filter_port}, timeout=60s }}
"""


@dataclass
class Postfix:
    """`hold` cleared: the filter (a policy service at the end of data) keeps every message waiting."""

    folder: Path
    port: int = field(default_factory=free_port)
    filter_port: int = field(default_factory=free_port)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    filtered: int = 0
    _before: int = 0

    async def __aenter__(self) -> Self:
        self.hold.set()
        self._filter = await asyncio.start_server(self._judge, "127.0.0.1", self.filter_port)
        self.folder.chmod(0o755)
        for name, owner in (("queue", "root"), ("data", "postfix"), ("mail", "nobody"), ("etc", "root")):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, owner)
        main = MAIN.format(folder=self.folder, filter_port=self.filter_port)
        (self.folder / "etc" / "main.cf").write_text(main)
        master = re.sub(r"^25 ", f"{self.port} ", MASTER.read_text(), flags=re.MULTILINE)
        master = re.sub(r"^(127\.0\.0\.1:27|28|587|465) .*\n(\s.*\n|#.*\n)*", "", master, flags=re.MULTILINE)
        (self.folder / "etc" / "master.cf").write_text(master + "virtual unix - n n - - virtual\n")
        self._guard = await self._guarded()
        await self.run("start")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hold.set()
        self._guard.stdin.close()
        await self._guard.wait()
        self._filter.close()

    async def _guarded(self) -> asyncio.subprocess.Process:
        """What ends Postfix, a daemon, when its pipe is closed: by us, or because the tests were killed."""
        abort = f"trap '' INT TERM HUP; cat; {POSTFIX} -c {self.folder}/etc abort"
        quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            "sh", "-c", abort, stdin=pipe, start_new_session=True, **quiet
        )

    async def run(self, verb: str) -> None:
        """`postfix VERB`: start, stop (waits for what is under way), abort."""
        command = [POSTFIX, "-c", str(self.folder / "etc"), verb]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.log()}"

    def forget(self) -> None:
        """Empty its mailbox and its counters for the next test."""
        shutil.rmtree(self.folder / "mail" / "b", ignore_errors=True)
        self.filtered, self._before = 0, len(self.log())

    def log(self) -> str:
        """Its whole log."""
        path = self.folder / "mail.log"
        return path.read_text() if path.exists() else ""

    def connections(self) -> int:
        """How many clients have connected in this test."""
        return len(re.findall(r"smtpd\[\d+\]: connect from", self.log()[self._before :]))

    async def delivered(self, count: int) -> list[bytes]:
        """The mails in the mailbox of b@, once the queue is empty and at least `count` are there."""
        queue, mailbox = self.folder / "queue", self.folder / "mail" / "b" / "new"
        async with asyncio.timeout(120):
            while True:
                waiting = [p for name in QUEUES for p in (queue / name).rglob("*") if p.is_file()]
                mails = sorted(mailbox.glob("*")) if mailbox.exists() else []
                if not waiting and len(mails) >= count:
                    return [mail.read_bytes() for mail in mails]
                await asyncio.sleep(0.05)

    async def _judge(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            while await reader.readuntil(b"\n\n"):
                self.filtered += 1
                await self.hold.wait()
                writer.write(b"action=DUNNO\n\n")
                await writer.drain()
        writer.close()
