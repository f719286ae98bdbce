"""What was imported before, so that it is imported once, also after it was deleted here."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from mailctl.backup.restore import stage
from mailctl.core import job_results
from mailctl.core.context import Context
from mailctl.core.folders import hdd, private


def home(context: Context, address: str) -> Path:
    """Where the import of a mailbox keeps what it fetched and did; only root looks into it."""
    return hdd(context) / job_results.IMPORTS / address


def fetched(context: Context, address: str, source: str) -> Path:
    """The folder that mail of one source is fetched into, for the user that Dovecot runs as."""
    folder = private(home(context, address)) / f"from-{sha256(source.encode()).hexdigest()[:16]}"
    if not folder.exists():
        stage.make_folder(folder, stage.vmail())
    return folder


def forget(context: Context, address: str) -> bool:
    """Remove it all; False: there was nothing."""
    folder = home(context, address)
    if not folder.is_dir():
        return False
    shutil.rmtree(folder)
    return True


def everybody(context: Context) -> list[str]:
    """Whose imports are kept."""
    folder = hdd(context) / job_results.IMPORTS
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class Memory:
    """The SHA-256 of each mail that was imported, and the file that it was fetched as."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: Counter[str] = Counter()
        self.known: dict[str, str] = {}
        content = path.read_bytes() if path.exists() else b""
        for line in content.splitlines(keepends=True):
            if not line.endswith(b"\n"):  # what was being written when the machine stopped
                os.truncate(path, len(content) - len(line))
                break
            digest, file = json.loads(line)
            self.done[digest] += 1
            self.known[file] = digest

    def add(self, mails: Iterable[tuple[str, str]]) -> None:
        """Note mails, digest and file, on the disk."""
        with self.path.open("ab") as written:
            for digest, file in mails:
                written.write(json.dumps([digest, file]).encode() + b"\n")
                self.done[digest] += 1
                self.known[file] = digest
            written.flush()
            os.fsync(written.fileno())
