"""A MariaDB of the tests' own, with our settings and TLS, and the database `ledger` of a first start."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from mailserver_api.stores import SharedStore
from tests.places import REPOSITORY
from tests.ports import free_port

CONFIG = REPOSITORY / "config" / "mariadb"
PASSWORD = "A-password.of_the-tests"  # noqa: S105
AS_ROOT = {**os.environ, "MYSQL_PWD": PASSWORD}
START_SECONDS = 180


@dataclass
class MariaDb:
    """A server on a port of 127.0.0.1, its certificate of an authority of its own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def authority(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def password_file(self) -> Path:
        return self.folder / "secrets" / "ledger_db_password"

    def store(self) -> SharedStore:
        """A new one, as each replica has."""
        return SharedStore("127.0.0.1", self.port, self.password_file, self.authority)

    def sql(self, statement: str) -> list[list[str]]:
        """What root is told."""
        client = ["mariadb", "--no-defaults", f"--socket={self.folder / 's'}", "--user=root", "-N", "-B"]
        done = subprocess.run(client, input=statement, capture_output=True, text=True, env=AS_ROOT)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            "mariadbd",
            f"--defaults-file={CONFIG / 'mailserver.cnf'}",
            f"--datadir={self.folder / 'data'}",
        ]
        command += [
            f"--socket={self.folder / 's'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
        ]
        command += [f"--ssl-{kind}={self.folder / 'server.pem'}" for kind in ("cert", "key")]
        command += [f"--init-file={self.folder / 'init.sql'}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *_user()], stdout=log, stderr=log)
        ping = ["mariadb-admin", "--no-defaults", f"--socket={self.folder / 's'}", "--user=root", "ping"]
        end = time.monotonic() + START_SECONDS
        while subprocess.run(ping, capture_output=True, env=AS_ROOT).returncode:
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()

    def kill(self) -> None:
        """As a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def grants(self) -> None:
        """Run the file that makes database and account."""
        secrets = {"SECRETS": str(self.folder / "secrets"), "SOCKET": str(self.folder / "s")}
        subprocess.run([CONFIG / "initdb" / "40-ledger.sh"], check=True, env={**os.environ, **secrets})


def _user() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


@contextmanager
def mariadb(folder: Path) -> Iterator[MariaDb]:
    """A running server; gone at the end."""
    assert shutil.which("mariadbd"), "mariadbd is missing: install the package mariadb-server"
    server = MariaDb(folder, free_port())
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}", *_user()]
    install += ["--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(install, check=True, capture_output=True)
    pair = trustme.CA()
    pair.cert_pem.write_to_path(server.authority)
    pair.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    (folder / "secrets").mkdir()
    for name in ("mariadb_root_password", "ledger_db_password"):
        (folder / "secrets" / name).write_text(PASSWORD)
    (folder / "init.sql").write_text(f"SET PASSWORD FOR root@localhost = PASSWORD('{PASSWORD}');")
    try:
        server.start()
        for _ in range(2):  # again, as where one host becomes several
            server.grants()
        yield server
    finally:
        if server.process is not None:
            server.kill()
