"""The relay's own DNS records, by which it knows the domain and signs for it."""

from collections.abc import Iterator
from pathlib import Path

from mailctl.core import relays
from mailctl.edge import plan
from mailctl.edge.plan import Note
from mailctl.edge.records import Record
from mailctl.edge.session import Session

KIND = "DNS record"


def compare(session: Session, repo: Path, found: list[Record]) -> Iterator[Note]:
    """A note for each kind of record that neither edge.yml nor the zone has, as far as its shape is known."""
    relay = relays.configured(repo)
    there = [(record.type, record.name, record.content) for record in found]
    fix = f"paste what {relay.title} shows below dns: in edge/edge.yml (docs/relays.md)"
    if relay.enters_records:
        fix = f"onboard the domain at {relay.title}, which makes it"
    for text in relay.missing(session.edge["dkim"]["domain"], [*relays.pasted(repo), *there]):
        yield Note(plan.BY_HAND, KIND, f"of {relay.title}", text, fix)
