"""`mailctl edge check`: what the world sees against the file and rspamd's keys, and a mail through it all."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.text import Text

from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.output import Output
from mailctl.edge import desired
from mailctl.edge.desired import LOOKUP_LIMIT
from mailctl.edge.dns_view import View
from mailctl.edge.host import Dkim, SecretFiles
from mailctl.edge.published import ASK_AGAIN, ASK_PLAN, UNASKED, Published, compare
from mailctl.edge.testmail import Probe, reached

APPLY = "make edge-apply; a change may take minutes until every resolver sees it"


@dataclass(frozen=True)
class Result:
    """One thing that was tried; `todo` says what to do when it is not ok."""

    name: str
    ok: bool
    text: str
    todo: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(
    context: Context, mail: bool, to: str | None, door: str | None, wait: float, resolver: str | None = None
) -> list[Result]:
    """All results. Raises Refused only when edge/edge.yml itself cannot be used."""
    edge = desired.load(context.repo)
    view = View(resolver)
    results = [*_records(edge, view), *_spf(edge, view), *_hosts(edge, view), *_dkim(context, edge, view)]
    if mail:
        results += _mail(context, edge, to, door or edge["worker"]["variables"]["API_URL"], wait)
    return results


def show(out: Output, results: list[Result]) -> None:
    for result in results:
        mark = Text("ok    ", style="green") if result.ok else Text("failed", style="bold red")
        out.lines([mark + Text(f" {result.name}: {result.text}", style="")])
        if result.todo and not result.ok:
            out.lines([Text(f"       {result.todo}", style="dim")])


def _records(edge: dict[str, Any], view: View) -> Iterator[Result]:
    """MX as a set, the file's other records as they stand there."""
    yield _compared(f"MX {edge['zone']}", compare(view, "MX", edge["zone"], edge["email_routing"]["mx"]))
    for record in edge["dns"]:
        kind, name = record["type"], record["name"]
        hidden = kind == "CNAME" and (record.get("proxied") or name == edge["zone"])
        yield _compared(f"{kind} {name}", compare(view, kind, name, () if hidden else [record["content"]]))


def _compared(name: str, found: Published, good: str = "as in edge/edge.yml", label: str = "") -> Result:
    text = good if found.ok else found.text
    todo = ASK_AGAIN if found.state == UNASKED else ASK_PLAN if found.hidden else APPLY
    return Result(name, found.ok, label + text, todo)


def _spf(edge: dict[str, Any], view: View) -> Iterator[Result]:
    """The limit that receivers count with includes, which only DNS knows."""
    content = next(r["content"] for r in edge["dns"] if r["content"].startswith("v=spf1"))
    number = view.spf_lookups(content)
    todo = "remove an include of the SPF record in edge/edge.yml: receivers ignore one that needs more"
    yield Result("SPF look-ups", number <= LOOKUP_LIMIT, f"{number} of at most {LOOKUP_LIMIT}", todo)


def _hosts(edge: dict[str, Any], view: View) -> Iterator[Result]:
    hosts = dict.fromkeys(line["hostname"] for line in edge["tunnel"]["ingress"] if "hostname" in line)
    for host in hosts:
        yield _compared(host, compare(view, "CNAME", host), "has an address")


def _dkim(context: Context, edge: dict[str, Any], view: View) -> Iterator[Result]:
    """The key that signs must be the one that is published."""
    domain = edge["dkim"]["domain"]
    try:
        keys = Dkim(context, domain).keys
    except Refused as refusal:
        yield _failed("DKIM", refusal)
        return
    for key in keys:
        name = f"{key.selector}._domainkey.{domain}"
        found, what = compare(view, "TXT", name, [key.record]), "signs: " if key.signs else "idle: "
        yield _compared(f"DKIM {name}", found, "published", what)
    if not any(key.signs for key in keys):
        yield Result("DKIM", False, f"rspamd has no key that signs for {domain}", "make dkim-status")


def _mail(context: Context, edge: dict[str, Any], to: str | None, door: str, wait: float) -> list[Result]:
    try:
        address = to or reached(context, f"postmaster@{edge['zone']}")
        mail = Probe(context, address)
        selector = mail.sign()
        mail.post(door, SecretFiles.of(context))
        seconds = mail.wait(wait)
    except Refused as refusal:
        return [_failed("test mail", refusal)]
    text = f"signed with {selector}, accepted by {door}, in the mailbox of {address} after {seconds:.0f} s"
    return [Result("test mail", True, text)]


def _failed(name: str, refusal: Refused) -> Result:
    problem = refusal.problems[0]
    details = (refusal.details or "").strip().splitlines()
    text = f"{problem.field} {problem.wrong}" + (f" ({details[-1][:200]})" if details else "")
    return Result(name, False, text, problem.next or problem.fix)
