"""What public DNS says of the records that a domain needs: looked up here, shown on its page by usermgmt."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mailctl.core.errors import Problem, Refused
from mailctl.core.output import Output
from mailctl.edge.dns_view import View
from mailctl.edge.host import DKIM_TOOL, SELECTOR, listed
from mailctl.edge.published import ALIAS, ASK_AGAIN, ASK_PLAN, DKIM, MISSING, OK, UNASKED, compare

if TYPE_CHECKING:
    from mailctl.accounts.api import Api

NO_KEY = "no_key"
# What a stranger's DNS may bring along: more of it helps nobody.
MOST_FOUND, LONGEST_FOUND = 10, 1000
AT_ONCE = 8
# Type, name and content of a record, and all that should be at its place.
Wanted = tuple[str, str, str, list[str]]


@dataclass(frozen=True)
class Record:
    """A record that the domain needs, and what DNS has in its place: as usermgmt keeps it."""

    type: str
    name: str
    content: str
    state: str
    found: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """One domain. `changed`: a record is not as it should be, and was otherwise at the last look."""

    domain: str
    managed: bool
    changed: bool
    records: list[Record]

    @property
    def ok(self) -> bool:
        return all(record.state == OK for record in self.records)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


def look_up(api: "Api", row: dict[str, Any], view: View) -> Look:
    """Look up all records of a domain and leave what was found in usermgmt. Raises Refused."""
    path = f"/domains/{row['id']}/dns"
    before = api.call("GET", path)
    if before["records"] is None:
        raise Refused(Problem("edge/edge.yml", "usermgmt cannot read it", "see: make edge-plan"))
    needed = [r for r in before["records"] if DKIM not in r["name"]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda each: _compared(view, *each), _wanted(api, row["name"], needed)))
    api.call("PUT", path, {"records": [asdict(record) for record in found]})
    known = {(r["type"], r["name"], r["content"]): r["state"] for r in before["records"]}
    changed = any(r.state not in (OK, known.get((r.type, r.name, r.content))) for r in found)
    return Look(row["name"], before["managed"], changed, found)


def _wanted(api: "Api", domain: str, needed: list[dict[str, Any]]) -> Iterator[Wanted]:
    """The records that usermgmt names, and those of rspamd's keys."""
    servers = [r["content"] for r in needed if r["type"] == "MX"]
    for record in needed:
        kind, content = record["type"], record["content"]
        yield kind, record["name"], content, servers if kind == "MX" else [content]
    keys = listed(api.server.inside("rspamd", ["sh", DKIM_TOOL, "list", domain]))
    for key in keys:
        yield "TXT", f"{key.selector}{DKIM}{domain}", key.record, [key.record]
    if not any(key.signs for key in keys):
        yield "TXT", f"SELECTOR{DKIM}{domain}", "", []


def _compared(view: View, kind: str, name: str, content: str, wanted: list[str]) -> Record:
    if not wanted:
        return Record(kind, name, content, NO_KEY)
    found = compare(view, kind, name, wanted)
    texts = tuple(text[:LONGEST_FOUND] for text in found.texts[:MOST_FOUND])
    return Record(kind, name, content, found.state, texts)


def show(out: Output, look: Look) -> None:
    """A line a record, and below those that are not ok what DNS says and what to do."""
    out.lines([Text(look.domain, style="bold")])
    for record in look.records:
        mark = Text(f"{record.state:8}", style="green" if record.state == OK else "bold red")
        out.lines([mark + Text(f" {record.type:5} {record.name}  {record.content}", style="")])
        for text in record.found if record.state != OK else ():
            out.lines([Text(f"         DNS says: {text}")])
        if record.state != OK:
            out.lines([Text(f"         {_to_do(look, record)}", style="dim")])


def _to_do(look: Look, record: Record) -> str:
    if record.state == NO_KEY:
        return f"make a key: docker compose exec rspamd sh /etc/rspamd/bin/dkim-key {look.domain}"
    if record.state == UNASKED:
        return f"DNS could not be asked: {ASK_AGAIN}"
    if any(text.startswith(ALIAS) for text in record.found):
        return _beside_alias(look, record)
    if look.managed:
        return "make edge-apply; a change may take minutes until every resolver sees it"
    return f"{'enter' if record.state == MISSING else 'correct'} it where the DNS of {look.domain} is kept"


def _beside_alias(look: Look, record: Record) -> str:
    """What to do about a CNAME in a record's place."""
    if look.managed:
        return ASK_PLAN
    if DKIM not in record.name:
        return "remove the CNAME: DNS allows nothing beside it"
    shell, words = "docker compose exec rspamd sh", f"{look.domain} {SELECTOR}1"
    make, use = f"{shell} {DKIM_TOOL}-key {words}", f"{shell} {DKIM_TOOL} use {words}"
    return f"leave the CNAME and make a key of another name: {make}; once DNS has its record: {use}"
