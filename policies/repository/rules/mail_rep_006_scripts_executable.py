"""MAIL_REP_006: scripts are executable and begin with #!."""

import posixpath
from collections.abc import Iterator

from policies.model import Found, Place
from policies.shared.repository import Repository

SUFFIXES = (".sh", ".bash")


def check(subject: Repository) -> Iterator[Found]:
    """Look at every file that begins with #!, and at every one that is called a shell script."""
    for file in subject.files:
        start = _start(subject, file)
        begins = b"#!" in start[:5]
        if begins and (start[:2] != b"#!" or b"\r" in start.partition(b"\n")[0]):
            what = f"{file} begins with signs that no system takes for #!, or its lines end in CR LF"
            yield Found(Place(file), what, "#! as the first two bytes, and LF at the ends of lines", file)
        elif begins and not subject.executable(file):
            yield Found(Place(file), f"{file} is not executable", "chmod +x", file)
        elif not begins and posixpath.splitext(file)[1] in SUFFIXES:
            yield Found(Place(file), f"{file} names no interpreter", "#!/bin/sh as the first line", file)


def _start(subject: Repository, file: str) -> bytes:
    """Return the first bytes as they are: reading text would fix the very mistakes."""
    if file in subject.changes:
        return subject.text(file)[:200].encode("utf-8", "backslashreplace")
    with (subject.root / file).open("rb") as opened:
        return opened.read(200)
