"""A proxy and two stores of Dovecot with their database, as on several hosts, in a plain network."""

from __future__ import annotations

import imaplib
import os
import smtplib
import ssl
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from pathlib import Path

import bcrypt
import jinja2
import yaml

from mailctl.secret_files import certificates
from tests.places import REPOSITORY
from tests.standins.hardened import docker, wait_until

CONFIG = REPOSITORY / "config"
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
DOVECOT = ("--cap-add=SYS_CHROOT", "--user=1000:1000", "--tmpfs=/tmp:mode=1777")
DOVECOT += ("--tmpfs=/run/dovecot:uid=1000,gid=1000,mode=755",)
PASSWORD, SECRET, API_KEY = "a person's password", "c" * 32, "k" * 32
ACCOUNTS = (
    "mariadb_root",
    "mariadb_owner",
    "postfix_db",
    "dovecot_db",
    "roundcube_db",
    "usermgmt_db",
    "backup_db",
    "ledger_db",
)
SHARDS = ("a", "b")


def render(source: Path, target: Path) -> None:
    """A file of the template, as several hosts get it."""
    answers = yaml.safe_load((REPOSITORY.parent / "cookiecutter.json").read_text())
    answers |= {"scale": "swarm", "mail_domain": "example.com", "account_host": "account.example.com"}
    answers |= {"client_access": "webmail", "project_slug": "mailserver"}
    options = answers["_jinja2_env_vars"]
    made = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, **options)  # noqa: S701
    target.write_text(made.from_string(source.read_text()).render(cookiecutter=answers))


@dataclass(eq=False)
class Rig:
    """The containers and what their clients need. `tags` are the stand-ins' images by name."""

    folder: Path
    tags: Mapping[str, str]
    prefix: str = field(default_factory=lambda: f"shards-{uuid.uuid4().hex[:8]}")
    running: list[str] = field(default_factory=list)

    def run(self, name: str, image: str, *options: str, command: tuple[str, ...] = ()) -> None:
        """Start a container that others know by its name."""
        words = (
            "run",
            "--detach",
            "--name",
            f"{self.prefix}-{name}",
            "--hostname",
            name,
            "--network",
            self.prefix,
        )
        self.running.append(name)
        service = name.replace("dovecot-", "dovecot-store-")
        # As the engine of a Swarm marks its tasks.
        words += ("--label", f"com.docker.stack.namespace={self.prefix}")
        words += ("--label", f"com.docker.swarm.service.name={self.prefix}_{service}")
        done = docker(*words, "--network-alias", name, *HARDENED, *options, image, *command)
        assert done.returncode == 0, done.stderr

    def inside(self, name: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in one of them."""
        return docker(
            "exec", *(["--interactive"] if stdin else []), f"{self.prefix}-{name}", *words, stdin=stdin
        )

    @cache  # noqa: B019 - there is one, as long as the tests
    def address(self, name: str) -> str:
        """Its address on the network, which this machine reaches."""
        form = f'{{{{(index .NetworkSettings.Networks "{self.prefix}").IPAddress}}}}'
        return docker("inspect", "--format", form, f"{self.prefix}-{name}").stdout.strip()

    def gateway(self) -> str:
        """This machine's address on the network."""
        form = "{{(index .IPAM.Config 0).Gateway}}"
        return docker("network", "inspect", "--format", form, self.prefix).stdout.strip()

    def ready(self, name: str) -> None:
        """Wait until a Dovecot takes log-ins and mail."""
        status = ("doveadm", "service", "status", "imap-login", "lmtp", "auth")
        try:
            wait_until(lambda: self.inside(name, *status).returncode == 0, name)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log(name)[-3000:]}") from error

    def log(self, name: str) -> str:
        """What it said."""
        done = docker("logs", f"{self.prefix}-{name}")
        return done.stdout + done.stderr

    def sql(self, words: str) -> str:
        """What the database answers its owner."""
        script = "MYSQL_PWD=$(cat /run/secrets/mariadb_owner_password) exec mariadb --skip-ssl -N -B"
        done = self.inside("mariadb", "sh", "-c", f"{script} -u mailserver mailserver", stdin=words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    # ---- What they are started with
    def secrets(self) -> None:
        """The files that make setup makes."""
        made = self.folder / "secrets"
        made.mkdir()
        for name in ACCOUNTS:
            (made / f"{name}_password").write_text(name.replace("_", "x") * 4)
        (made / "dovecot_db").write_text(f"mysql mariadb {{\n  password = {'dovecotxdb' * 4}\n}}\n")
        (made / "doveadm_api").write_text(f"doveadm_api_key = {API_KEY}\n")
        (made / "dovecot_proxy").write_text(
            "".join(
                f"passdb {name} {{\n  fields {{\n    pass = {SECRET}\n  }}\n}}\n"
                for name in ("shard-of-person", "shard-of-mailbox")
            )
            + f"doveadm_password = {SECRET}\n"
        )
        (made / "dovecot_store").write_text(
            f"passdb proxies {{\n  static_password = {SECRET}\n}}\ndoveadm_password = {SECRET}\n"
        )
        (made / "rspamd_controller_password").write_text("x" * 20)
        ca_key = certificates.new_key()
        ca = certificates.self_signed_ca(b"", ca_key, "test")
        (made / "internal_ca_crt").write_bytes(ca)
        stores = [f"dovecot-{shard}" for shard in SHARDS]
        for service, names in (("mariadb", ["mariadb"]), ("dovecot", ["dovecot"]), ("dovecot_store", stores)):
            key = certificates.new_key()
            (made / f"{service}_tls_key").write_bytes(key)
            (made / f"{service}_tls_crt").write_bytes(
                certificates.service_certificate(b"", key, ca, ca_key, names)
            )
        for file in made.iterdir():
            file.chmod(0o444)

    def config(self) -> None:
        """The configuration, rendered."""
        for name in ("dovecot", "dovecot-proxy", "dovecot-store"):
            (self.folder / name).mkdir()
            for source in sorted((CONFIG / name).rglob("*")):
                target = self.folder / name / source.relative_to(CONFIG / name)
                if source.is_dir():
                    target.mkdir()
                elif source.parent.name in ("bin", "sieve") or source.suffix == ".sh":
                    target.write_bytes(source.read_bytes())
                    target.chmod(0o755)
                else:
                    render(source, target)

    def dovecot(self, name: str, role: str, *options: str, command: tuple[str, ...] = ()) -> None:
        """A container of Dovecot in one of its two roles."""
        at = self.folder
        mounts = [f"--volume={at}/dovecot/dovecot.conf:/etc/dovecot/whole.conf:ro"]
        mounts += [f"--volume={at}/dovecot/{part}:/etc/dovecot/{part}:ro" for part in ("bin", "sieve")]
        mounts += [
            f"--volume={at}/{role}/dovecot.conf:/etc/dovecot/dovecot.conf:ro",
            f"--volume={at}/secrets:/run/secrets:ro",
        ]
        if role == "dovecot-store":
            own = [f"{part}:/run/secrets/dovecot_tls_{part}:ro" for part in ("crt", "key")]
            mounts += [f"--volume={at}/secrets/dovecot_store_tls_{mount}" for mount in own]
        self.run(name, self.tags["dovecot"], *DOVECOT, *mounts, *options, command=command)

    def disk(self, shard: str) -> Path:
        """What a store has as /srv/vmail."""
        return self.folder / f"disk-{shard}" / "mailboxes"

    def store(self, shard: str) -> None:
        """A store on a disk that is marked as its own, as mailctl node add leaves it."""
        disk = self.disk(shard)
        (disk / shard).mkdir(parents=True)
        (disk / ".shard").write_text(f"{shard}\n")
        for place in (disk, disk / shard):
            os.chown(place, 1000, 1000)
        mounts = (
            f"--volume={disk}:/srv/vmail",
            f"--volume={self.folder}/dovecot-store/start.sh:/start-store:ro",
        )
        first = ("--entrypoint=/usr/bin/tini", f"--env=SHARD={shard}")
        start = ("--", "/bin/sh", "/start-store", "/dovecot/sbin/dovecot", "-F")
        self.dovecot(f"dovecot-{shard}", "dovecot-store", *mounts, *first, command=start)

    def database(self) -> None:
        """MariaDB with our tables and grants."""
        options = (
            "--user=999:999",
            "--tmpfs=/tmp",
            "--tmpfs=/run/mysqld:uid=999,gid=999",
            "--tmpfs=/var/lib/mysql:uid=999,gid=999",
        )
        options += (
            f"--volume={self.folder}/secrets:/run/secrets:ro",
            f"--volume={CONFIG}/mariadb/initdb:/docker-entrypoint-initdb.d:ro",
        )
        options += (
            "--env=MARIADB_ROOT_PASSWORD_FILE=/run/secrets/mariadb_root_password",
            "--env=MARIADB_DATABASE=mailserver",
        )
        options += (
            "--env=MARIADB_USER=mailserver",
            "--env=MARIADB_PASSWORD_FILE=/run/secrets/mariadb_owner_password",
        )
        options += (f"--volume={CONFIG}/mariadb/mailserver.cnf:/etc/mysql/conf.d/mailserver.cnf:ro",)
        shown = (("ca", "internal_ca_crt"), ("cert", "mariadb_tls_crt"), ("key", "mariadb_tls_key"))
        tls = tuple(f"--ssl-{name}=/run/secrets/{file}" for name, file in shown)
        self.run("mariadb", self.tags["mariadb"], *options, command=("mariadbd", *tls))
        ready = ("healthcheck.sh", "--connect", "--innodb_initialized")
        wait_until(
            lambda: self.inside("mariadb", *ready).returncode == 0, f"MariaDB\n{self.log('mariadb')[-2000:]}"
        )

    # ---- People
    def add(self, *addresses: str, shard: str = "a", quota: int = 1 << 30) -> None:
        """Mailboxes of one shard, all with the same password."""
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        rows = ", ".join(f"(1, '{a}', '{hashed}', {quota}, '{shard}', '{shard}')" for a in addresses)
        columns = "domain_id, email, password_hash, quota_bytes, shard, volume"
        self.sql(f"INSERT INTO mailboxes ({columns}) VALUES {rows}")  # noqa: S608 - words of these tests

    def tls(self) -> ssl.SSLContext:
        """Trusts our authority; the tests come by address, not by name."""
        made = ssl.create_default_context(cafile=self.folder / "secrets" / "internal_ca_crt")
        made.check_hostname = False
        return made

    def imap(self, address: str, at: str = "dovecot", password: str = PASSWORD) -> imaplib.IMAP4_SSL:
        """Somebody's session, with INBOX open."""
        session = imaplib.IMAP4_SSL(self.address(at), 31993, ssl_context=self.tls(), timeout=30)
        session.login(address, password)
        session.select("INBOX")
        return session

    def deliver(self, address: str, *subjects: str, at: str = "dovecot", minutes_ago: int = 0) -> None:
        """Hand over mails as Postfix does, which took them so long ago. Raises SMTPException."""
        came = format_datetime(datetime.now(UTC) - timedelta(minutes=minutes_ago))
        with smtplib.LMTP(self.address(at), 31024) as session:
            session.ehlo_or_helo_if_needed()
            session.starttls(context=self.tls())
            session.ehlo()
            for subject in subjects:
                key = "".join(filter(str.isalnum, subject))
                text = f"Received: from relay by postfix (Postfix) with ESMTP id {key}; {came}\r\n"
                text += f"From: w@sender.example\r\nTo: {address}\r\nSubject: {subject}\r\n"
                text += f"Message-ID: <{key}@sender.example>\r\n\r\n{'A line of text.' * 100}\r\n"
                session.sendmail("w@sender.example", [address], text)


@contextmanager
def started(folder: Path, tags: Mapping[str, str]) -> Iterator[Rig]:
    """All of them, ready; removed after."""
    rig = Rig(folder, tags)
    made = docker("network", "create", rig.prefix)
    assert made.returncode == 0, made.stderr
    try:
        rig.secrets()
        rig.config()
        rig.database()
        rig.sql("INSERT INTO domains (name) VALUES ('example.com')")
        for shard in SHARDS:
            row = f"('{shard}', 'mail-{shard}')"
            rig.sql(f"INSERT INTO shards (name, node) VALUES {row}")  # noqa: S608
            rig.store(shard)
        rig.dovecot("dovecot", "dovecot-proxy", f"--add-host=usermgmt:{rig.gateway()}")
        for name in ("dovecot", *(f"dovecot-{shard}" for shard in SHARDS)):
            rig.ready(name)
        yield rig
    finally:
        for name in rig.running:
            docker("rm", "--force", "--volumes", f"{rig.prefix}-{name}")
        docker("network", "rm", rig.prefix)
