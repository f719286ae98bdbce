"""A table of mailboxes and aliases: its form, and what can be said of a line without looking at others.

A row with destinations is an alias, another one a mailbox.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field

from usermgmt.addresses import parse_alias_source, parse_destinations, parse_own_address
from usermgmt.passwords import TAKEN_HASH, check_password
from usermgmt.problems import Collector, Problem, Refused
from usermgmt.quota import parse_quota
from usermgmt.services.aliases import MOST_DESTINATIONS
from usermgmt.services.audit_search import FORMULA, inert
from usermgmt.services.mailboxes import parse_name

COLUMNS = ("address", "name", "quota", "active", "destinations", "may_send", "password")
#: Accepted besides: a hash that another mail server kept. It is in no table that is exported.
HASH = "password_hash"
MOST_ROWS = 10_000
#: Each takes a fiftieth of a second to hash, on purpose; a generated one takes none.
MOST_PASSWORDS = 1_000
#: Bytes of a file.
LARGEST = 4 * 1024**2
SWITCHES = {"": True, "yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass
class Line:
    """A line of the table: as it was read, then checked, then hashed."""

    number: int
    entered: dict[str, str]
    address: str = ""
    name: str = ""
    quota_bytes: int | None = None
    active: bool = True
    destinations: list[str] = field(default_factory=list)
    may_send: bool = True
    password: str = ""
    password_hash: str = ""
    problems: list[Problem] = field(default_factory=list)


def refuse_line(number: int, field: str, value: str, wrong: str, instead: str) -> Refused:
    """A refusal of the whole table for one of its lines."""
    return Refused(Problem(field, value, wrong, instead, {"line": str(number)}))


def active_text(text: str) -> str:
    """A cell as it was before `inert`."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def decode(data: bytes) -> str:
    """The text of a file, as spreadsheets write it; raises Refused."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong, instead = "The file is not text in UTF-8.", "Save it as “CSV UTF-8”."
        raise refuse_line(1, "file", "", wrong, instead) from error


def read(text: str) -> list[Line]:
    """The lines of a table, each checked by itself; raises Refused if it is no such table."""
    head = text.partition("\n")[0]
    table = csv.reader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",")
    try:
        names = [name.strip().lower() for name in next(table, [])]
        for name in sorted({*names} - {*COLUMNS, HASH} - {""}):
            wrong = "There is no such column."
            instead = (
                "Use some of: address, name, quota, active, destinations, may_send, password, password_hash."
            )
            raise refuse_line(1, "header", name, wrong, instead)
        if "address" not in names:
            wrong, instead = "The column “address” is missing.", "Put the names of the columns on line 1."
            raise refuse_line(1, "header", head[:80], wrong, instead)
        lines = [
            check(Line(table.line_num, dict(zip(names, row, strict=False)))) for row in table if any(row)
        ]
    except csv.Error as error:
        wrong, instead = "This line is not a row of a table.", "Save the file as CSV again."
        raise refuse_line(table.line_num, "line", "", wrong, instead) from error
    if len(lines) > MOST_ROWS:
        wrong, instead = "There are more than 10,000 rows.", "Import them in several files."
        raise refuse_line(lines[MOST_ROWS].number, "line", "", wrong, instead)
    given = [line for line in lines if line.password]
    if len(given) > MOST_PASSWORDS:
        wrong, instead = "There are more than 1,000 passwords.", "Leave them empty: they are generated then."
        raise refuse_line(given[MOST_PASSWORDS].number, "password", "", wrong, instead)
    return lines


def switch(name: str, cell: str) -> bool:
    """Yes or no; an empty cell is yes. Raises Refused."""
    word = cell.strip().lower()
    if word not in SWITCHES:
        raise Refused(Problem(name, cell, "This is neither yes nor no.", "Use yes or no."))
    return SWITCHES[word]


def kept_hash(given: str, password: str) -> str:
    """A hash that log-ins here and Dovecot can check, or nothing. Raises Refused, never repeating it."""
    if given and (password or not TAKEN_HASH.fullmatch(given)):
        wrong = "This hash cannot be checked here."
        instead = "Use bcrypt or argon2id, and no password beside it, or leave it empty."
        raise Refused(Problem(HASH, "", wrong, instead))
    return given


def check(line: Line) -> Line:
    """Whatever can be said of a line without looking at others."""
    cells = {name: active_text(line.entered.get(name, "")) for name in COLUMNS}
    wrong = Collector()
    with wrong:
        if cells["destinations"].strip():
            line.address = parse_alias_source(cells["address"], "address")
        else:
            line.address = parse_own_address(cells["address"], "address")
    with wrong:
        if cells["destinations"].strip():
            line.destinations = parse_destinations(cells["destinations"])
    with wrong:
        if len(line.destinations) > MOST_DESTINATIONS:
            text, instead = "The alias would have more than 100 destinations.", "Use a mailing list program."
            raise Refused(Problem("destinations", cells["destinations"][:80], text, instead))
    with wrong:
        line.name = parse_name(cells["name"])
    with wrong:
        line.quota_bytes = parse_quota(cells["quota"]) if cells["quota"].strip() else None
    with wrong:
        line.active = switch("active", cells["active"])
    with wrong:
        line.may_send = switch("may_send", cells["may_send"])
    with wrong:
        # What a person chose is taken as it is.
        line.password = line.entered.get("password", "")
        if line.password:
            check_password(line.password, line.address)
    with wrong:
        line.password_hash = kept_hash(line.entered.get(HASH, ""), line.password)
    line.problems = wrong.problems
    return line


def as_csv(rows: Iterable[Iterable[str]]) -> str:
    """A table that no spreadsheet runs."""
    written = io.StringIO()
    csv.writer(written).writerows([inert(cell) for cell in row] for row in rows)
    return written.getvalue()
