"""A browser without JavaScript, and a MariaDB server started the way the image starts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import URL, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from tests.places import REPOSITORY
from usermgmt.inside import INSIDE, Answer
from usermgmt.models import DOMAIN_ADMIN, OWNER, Admin, Alias, Mailbox
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.services import aliases, domains, mailboxes, roles
from usermgmt.services.audit import COMMAND_LINE, Actor
from usermgmt.settings import Settings

#: Makes an application whose connections are closed when the test ends.
MakeApp = Callable[[Settings], Flask]
#: What is copied into the image.
PACKAGE_FOLDER = REPOSITORY / "platform" / "usermgmt"
CONFIG = REPOSITORY / "config" / "mariadb"
ADMIN_EMAIL = "admin@example.org"
ADMIN_PASSWORD = "correct-horse-9-battery"
ACCOUNTS = ("postfix", "dovecot", "usermgmt", "roundcube", "mailserver")
START_SECONDS = 180
PASSWORD = "correct horse battery"
#: Where requests come from: an address that stands for nginx, and resolves to itself.
PROXY = "192.0.2.1"
#: The two sites; a person's browser is at one of them.
ADMIN_SITE, ACCOUNT_SITE = "localhost", "account.localhost"


class Browser:
    """Keeps cookies, follows no redirects and sends the CSRF token of the page it saw last."""

    def __init__(self, app: Flask, host: str = ADMIN_SITE, **environ: str) -> None:
        self.client, self.base_url = app.test_client(), f"http://{host}"
        self.environ = {"REMOTE_ADDR": PROXY, **environ}
        self.headers: dict[str, str] = {}
        self.token = ""

    def get(self, path: str, **headers: str) -> TestResponse:
        """A page."""
        answer = self.client.get(
            path,
            base_url=self.base_url,
            headers={**self.headers, **headers},
            environ_overrides=self.environ,
            buffered=True,
        )
        found = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
        self.token = found.group(1) if found else self.token
        return answer

    def post(self, path: str, **fields: str) -> TestResponse:
        """A form with the CSRF token."""
        return self.post_without_token(path, csrf_token=self.token, **fields)

    def post_without_token(self, path: str, **fields: str) -> TestResponse:
        """A form as another site would send it."""
        return self.client.post(
            path,
            base_url=self.base_url,
            data=fields,
            headers=self.headers,
            environ_overrides=self.environ,
        )

    def log_in(self, email: str = ADMIN_EMAIL, password: str = ADMIN_PASSWORD) -> TestResponse:
        """Open the log-in page and send it; afterwards the token is that of the new session."""
        self.get("/login")
        answer = self.post("/login", email=email, password=password)
        if answer.status_code == 303:
            self.get(answer.headers["Location"])
        return answer


def give_domains(session: Session, email: str, domains: list[str]) -> Admin:
    """Let an admin administer these domains only; without one, everything."""
    admin = session.scalars(select(Admin).where(Admin.email == email)).one()
    roles.set_role(session, COMMAND_LINE, admin, DOMAIN_ADMIN if domains else OWNER, domains)
    return admin


class InProcess:
    """The socket of the container, with the application itself at its end."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client(use_cookies=False)

    def ask(self, method: str, path: str, body: bytes | None, media_type: str) -> Answer:
        """Send a request and read its answer."""
        sent = {} if body is None else {"data": body, "content_type": media_type}
        inside = {INSIDE: True}
        answer = self.client.open(
            path, method=method, base_url="http://127.0.0.1", environ_overrides=inside, **sent
        )
        return Answer(answer.status_code, answer.mimetype, answer.data)

    def close(self) -> None:
        """Nothing is open."""


def first_id(page: str, kind: str) -> int:
    """The number of the first row of a list."""
    found = re.search(rf"/{kind}/(\d+)", page)
    assert found, f"no link to one of the {kind}"
    return int(found.group(1))


@dataclass(frozen=True)
class Server:
    """A running MariaDB server with the schema of the first start."""

    socket: Path

    def url(self, account: str) -> URL:
        """How `account` connects."""
        database = "roundcube" if account == "roundcube" else "mailserver"
        return URL.create(
            "mariadb+pymysql",
            account,
            password_of(account),
            "localhost",
            database=database,
            query={"unix_socket": str(self.socket), "charset": "utf8mb4"},
        )


def password_of(account: str) -> str:
    """Each account's password in these tests."""
    return f"{account}-Test.0123456789"


def write_secrets(folder: Path) -> None:
    """The secret files that 10-accounts.sh reads."""
    folder.mkdir()
    (folder / "mariadb_root_password").write_text(password_of("root"))
    for account in (*ACCOUNTS, "backup"):
        (folder / f"{account}_db_password").write_text(password_of(account))


def run_sql(socket: Path, sql: str, password: str = "", database: str = "mysql") -> None:
    """Run SQL as root, the password in the environment as the image passes it."""
    command = ["mariadb", "--no-defaults", f"--socket={socket}", "--user=root", database]
    subprocess.run(command, input=sql, text=True, check=True, env={**os.environ, "MYSQL_PWD": password})


def first_start(socket: Path, secrets: Path) -> None:
    """What the mariadb image does on an empty data folder."""
    owner = password_of("mailserver")
    run_sql(
        socket,
        f"SET PASSWORD FOR root@localhost = PASSWORD('{password_of('root')}');"
        "CREATE DATABASE mailserver;"
        f"CREATE USER mailserver@'%' IDENTIFIED BY '{owner}'; GRANT ALL ON mailserver.* TO mailserver@'%';",
    )
    subprocess.run(
        [CONFIG / "initdb" / "10-accounts.sh"],
        check=True,
        env={**os.environ, "SECRETS": str(secrets), "SOCKET": str(socket)},
    )
    schema = (CONFIG / "initdb" / "20-schema.sql").read_text()
    run_sql(socket, schema, password_of("root"), "mailserver")


def wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server answers; a server that gave up fails at once with its log."""
    ping = ["mariadb-admin", "--no-defaults", f"--socket={socket}", "--user=root", "ping"]
    end = time.monotonic() + START_SECONDS
    while subprocess.run(ping, capture_output=True).returncode:
        assert process.poll() is None and time.monotonic() < end, log.read_text()


@contextmanager
def mariadb_server(folder: Path) -> Iterator[Server]:
    """A server with config/mariadb on a socket in `folder`; stopped at the end."""
    assert shutil.which("mariadbd"), "mariadbd is missing: install the package mariadb-server"
    data, socket, log = folder / "data", folder / "s", folder / "log"
    user = ["--user=root"] if os.geteuid() == 0 else []
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", *user]
    install += ["--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(install, check=True, capture_output=True)
    command = ["mariadbd", f"--defaults-file={CONFIG / 'mailserver.cnf'}", f"--datadir={data}", *user]
    command += [f"--socket={socket}", f"--pid-file={folder / 'pid'}", "--skip-networking"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(socket, process, log)
        write_secrets(folder / "secrets")
        first_start(socket, folder / "secrets")
        yield Server(socket)
    finally:
        process.terminate()
        process.wait(120)


class Directory:
    """The services with the arguments that every test repeats."""

    def __init__(self, session: Session, actor: Actor, hasher: Hasher) -> None:
        self.session, self.actor, self.hasher = session, actor, hasher

    def domain(self, name: str) -> Any:
        """Add a domain."""
        return domains.add_domain(self.session, self.actor, name)

    def mailbox(self, email: str, quota: str = "1G", password: str = PASSWORD, name: str = "") -> Mailbox:
        """Add a mailbox."""
        return mailboxes.add_mailbox(self.session, self.actor, self.hasher, email, password, quota, name)

    def alias(self, source: str, destinations: str) -> list[Alias]:
        """Add an alias."""
        return aliases.add_alias(self.session, self.actor, source, destinations)


def texts(refusal: pytest.ExceptionInfo[Refused]) -> list[tuple[str, str]]:
    """Field and filled-in reason of each problem."""
    return [(problem.field, problem.wrong.format(**problem.values)) for problem in refusal.value.problems]
