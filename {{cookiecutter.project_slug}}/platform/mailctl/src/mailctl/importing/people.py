"""The list of people whose mail is imported: a CSV file that nobody else can read."""

import csv
import os
import stat
from pathlib import Path

from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.importing import imap
from mailctl.importing.run import Wanted

COLUMNS = ("address", "source", "login", "password")


def secret(path: Path, field: str) -> str:
    """The text of a file that holds passwords. Raises Refused: others can read it, or it is no text."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            wrong = f"holds passwords, and others on this host can read it (mode {mode:04o})"
            raise Refused(Problem(field, wrong, f"chmod 600 {path}", value=str(path)))
        try:
            return file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Refused(
                Problem(field, "is not text in UTF-8", "save it as UTF-8", value=str(path))
            ) from None


def wanted(address: str, source: str, login: str, password: str, ca: Path | None) -> Wanted:
    """One person. Raises Misuse."""
    who = address.strip().lower()
    if who.count("@") != 1 or "/" in who or who.startswith((".", "@")) or not who.isprintable():
        raise Misuse(Problem("address", "is no address of a mailbox here", "name@domain", value=address))
    if "://" in source:
        return Wanted(who, imap.Server.of(source, login, password, ca))
    return Wanted(who, Path(source).expanduser().absolute())


def read(path: Path, ca: Path | None) -> list[Wanted]:
    """Everybody in the list. Raises Refused with all that is wrong, by line; nothing is done then."""
    text = secret(path, "FILE")
    head = text.partition("\n")[0]
    rows = csv.DictReader(text.splitlines(), delimiter=";" if head.count(";") > head.count(",") else ",")
    names = {(name or "").strip().lower() for name in rows.fieldnames or ()}
    if not {"address", "source"} <= names <= {*COLUMNS, ""}:
        fix = f"put the names of the columns on line 1: {','.join(COLUMNS)}"
        raise Refused(Problem("FILE, line 1", "has not the columns of this list", fix, value=head[:80]))
    people, problems = list[Wanted](), list[Problem]()
    for row in rows:
        cells = {(key or "").strip().lower(): value for key, value in row.items() if isinstance(value, str)}
        values = [cells.get(name) or "" for name in COLUMNS]
        try:
            one = wanted(values[0], values[1].strip(), values[2].strip(), values[3], ca)
        except Misuse as refusal:
            problems += (
                Problem(f"line {rows.line_num}, {p.field}", p.wrong, p.fix, p.value) for p in refusal.problems
            )
            continue
        people.append(one)
    if problems or not people:
        empty = Problem("FILE", "names nobody", "a line for each person", value=str(path))
        raise Refused(*(problems or [empty]))
    return people
