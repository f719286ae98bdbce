"""A host with mailboxes, secrets and a repository under git, whose containers answer as healthy ones do."""

import os
import subprocess
import sys
from pathlib import Path

from fakes import FakeDocker, FakeEngine, container
from moving_mail import MovingMail
from restore_scene import LEARNED, archive

from mailctl.core import encryption
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.secret_files.initialise import initialise

DUMP = "CREATE TABLE mailboxes (email VARCHAR(320));\n-- Dump completed on 2026-11-26\n"
KEYS_AT = f"{container('rspamd')['Id']}:/var/lib/rspamd/dkim"
LEARNED_AT = f"{container('valkey')['Id']}:/data/appendonlydir"
CALENDARS_AT = f"{container('radicale')['Id']}:/var/lib/radicale/collections"
PERSON = "7-20261128120000"
CALENDARS = {
    f"collections/collection-root/{PERSON}/calendar/e1.ics": b"BEGIN:VCALENDAR\nEND:VCALENDAR\n",
    f"collections/collection-root/{PERSON}/calendar/.Radicale.props": b'{"tag": "VCALENDAR"}',
    f"collections/collection-root/{PERSON}/contacts/c1.vcf": b"BEGIN:VCARD\nEND:VCARD\n",
    "collections/.Radicale.lock": b"",
}
BOX = "example.com/ada"


class BackupHost:
    """`hdd` is its large disk; `run` is `mailctl backup` in a process of its own, as the timer calls it."""

    def __init__(self, repo: Path, engine: FakeEngine, docker: FakeDocker, hdd: Path | None = None) -> None:
        self.repo, self.engine, self.docker = repo, engine, docker
        self.hdd = hdd or repo.parent / "hdd"
        self.owner = repo.parent / "owner.key"
        self.owner.write_bytes(encryption.new_identity())
        with (repo / ".env").open("a") as env:
            public = encryption.public(encryption.identities(self.context, self.owner)[0])
            env.write(f"HDD_PATH={self.hdd}\nBACKUP_AGE_RECIPIENTS={public}\nRELAY_HINT=very-secret-hint\n")
        self.mail = MovingMail(self.hdd / "mailboxes" / BOX, 30, seed=1)
        initialise(self.context, repo / "secrets")
        git = ["git", "-C", str(repo), "-c", "user.name=x", "-c", "user.email=x@example.com"]
        for words in (["init", "-q"], ["add", "docker-compose.yml"], ["commit", "-qm", "first"]):
            subprocess.run([*git, *words], check=True)
        engine.containers = [
            container(name) for name in ("mariadb", "rspamd", "postfix", "valkey", "radicale")
        ]
        docker.answer("sh", DUMP)
        docker.answer(KEYS_AT, _archive({"dkim/example.com.s1.key": b"key\n"}))
        docker.answer(LEARNED_AT, _archive(LEARNED))
        (repo / "config/radicale").mkdir(parents=True)
        docker.answer(CALENDARS_AT, _archive(CALENDARS))

    @property
    def context(self) -> Context:
        return Context(self.repo, Output(), environ={})

    def start(self, *arguments: str, **options: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "mailctl", "backup", *arguments],
            cwd=self.repo,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )


def _archive(files: dict[str, bytes]) -> str:
    """What `docker cp` gives; ASCII, as the fake command prints text."""
    return archive(files).decode()
