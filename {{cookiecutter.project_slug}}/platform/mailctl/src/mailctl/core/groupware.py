"""Calendars and address books, where the answer `groupware` is on: a folder a person in Radicale's volume.

A folder is called NUMBER-MOMENT, of the mailbox and of when it was made: neither an address nor a number that
comes again after a restore leads to somebody else's.
"""

import re
import tarfile
from collections.abc import Iterator
from tempfile import TemporaryFile

from mailctl.core.containers import copy_out, output, running
from mailctl.core.context import Context

SERVICE, VOLUME, OWNER = "radicale", "radicale_data", (10006, 10006)
FOLDER = "/var/lib/radicale/collections"
PEOPLE = f"{FOLDER}/collection-root"
#: In SQL what services/calendars.py of usermgmt calls a person's folder.
PERSON = "CONCAT(id, '-', DATE_FORMAT(created_at, '%Y%m%d%H%i%s'))"
NAME = re.compile(r"[0-9]+-[0-9]{14}")


def here(context: Context) -> bool:
    """Whether this server has them: the template leaves the folder out otherwise."""
    return (context.repo / "config" / SERVICE).is_dir()


def people(context: Context) -> list[str]:
    """The folders of people. Raises Refused: Radicale does not run."""
    listed = output(running(context, SERVICE), "ls", PEOPLE).decode().split()
    return [name for name in listed if NAME.fullmatch(name)]


def remove(context: Context, names: list[str]) -> None:
    """Remove folders with all that is in them. Raises Refused."""
    if names:
        output(running(context, SERVICE), "rm", "-rf", *(f"{PEOPLE}/{name}" for name in names))


def entries(context: Context, person: str) -> Iterator[tuple[str, str]]:
    """The path and the text of each of a person's events, tasks and contacts. Raises Refused."""
    if person not in people(context):
        return
    with TemporaryFile() as copied:
        copy_out(context, SERVICE, f"{PEOPLE}/{person}", copied)
        with tarfile.open(fileobj=copied) as tar:
            for member in tar:
                path = member.name.partition("/")[2]
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None and ".Radicale.cache" not in path:
                    yield path, content.read().decode("utf-8", "replace")
