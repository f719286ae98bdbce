"""A docker command whose rspamd container runs our own scripts on a folder; it can kill who called it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.places import REPOSITORY

SCRIPTS = REPOSITORY / "config/rspamd/bin"
DOCKER = """#!{python} -ES
import os, pathlib, signal, subprocess, sys
folder = pathlib.Path({folder!r})
words = sys.argv[sys.argv.index("/etc/rspamd/bin/dkim") + 1:]
kill = folder / f"kill-{{words[0]}}"
when = kill.read_text() if kill.exists() else ""
if when == "before":
    kill.unlink()
    os.kill(os.getppid(), signal.SIGKILL)
    sys.exit(1)
done = subprocess.run(["sh", folder / "dkim", *words])
if when == "after":
    kill.unlink()
    os.kill(os.getppid(), signal.SIGKILL)
sys.exit(done.returncode)
"""
# Called as bin/dkim-key calls it; a real record is as long.
RSPAMADM = """#!/bin/sh
[ "$1" = dkim_keygen ] || exit 0
echo "private $5" >"$9"
printf '%s._domainkey IN TXT ( "v=DKIM1; k=rsa; "\\n\\t"p=' "$5"
printf "$5%.0s" $(seq 60)
printf '" ) ;\\n'
"""


class FakeRspamd:
    """`kill("use", "after")`: the process that next asks for that action is killed then.

    `first` is the selector of the key that is there; by itself the container takes one of our own.
    """

    def __init__(self, folder: Path, first: str = "") -> None:
        self.folder = folder
        self.keys = folder / "keys"
        self.keys.mkdir(parents=True)
        for name in ("dkim", "dkim-key"):
            text = (SCRIPTS / name).read_text().replace("/var/lib/rspamd/dkim", str(self.keys))
            (folder / name).write_text(text.replace("/etc/rspamd/bin/", f"{folder}/"))
        self._program("docker", DOCKER.format(python=sys.executable, folder=str(folder)))
        self._program("rspamadm", RSPAMADM)
        self.run("dkim-key", "example.com", *([first] if first else []))

    def _program(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def run(self, script: str, *words: str) -> str:
        """Call a script in the container, as an operator or its start does."""
        environ = {**os.environ, "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}
        command = ["sh", str(self.folder / script), *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout

    def kill(self, action: str, when: str) -> None:
        (self.folder / f"kill-{action}").write_text(when)
