"""One comparison of edge/edge.yml with Cloudflare: all parts, all problems at once."""

from collections.abc import Callable, Iterable
from pathlib import Path

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.edge import (
    access,
    cloud,
    desired,
    destinations,
    records,
    relay_records,
    routing,
    rules,
    stores,
    tunnel,
    worker,
)
from mailctl.edge.host import Dkim, Key, SecretFiles
from mailctl.edge.plan import Change, Note, Plan, planned
from mailctl.edge.record import Recorder, names_of
from mailctl.edge.session import Session


def begin(
    context: Context, adopt: Iterable[str] = (), prune: bool = False, record: Path | None = None
) -> Session:
    """Read the file, find the zone and look at the host. Raises Refused when one of them fails.

    `record`: a folder for Cloudflare's answers.
    """
    edge = desired.load(context.repo)
    secrets = SecretFiles.of(context)
    recorder = Recorder(record, names_of(edge), cloud.token(context, secrets)) if record else None
    http = recorder.client() if recorder else None
    connection = cloud.connect(context, secrets, edge["zone"], http)
    keys = signing_keys(context, edge["dkim"]["domain"])
    return Session(edge, connection, secrets, keys, frozenset(adopt), prune)


def signing_keys(context: Context, domain: str) -> tuple[Key, ...] | None:
    """rspamd's keys, None where it does not run: the rest of the edge can be planned without them."""
    try:
        return Dkim(context, domain).keys
    except Refused:
        return None


def compare(session: Session, context: Context) -> Plan:
    """The plan. Raises Refused with everything that no part could do: all missing scopes at once."""
    items: list[Change | Note] = []
    problems: list[Problem] = []

    def take(part: Callable[[], Iterable[Change | Note]]) -> None:
        try:
            items.extend(part())
        except Refused as refusal:
            problems.extend(refusal.problems)

    take(lambda: access.compare(session))
    take(lambda: tunnel.compare(session))
    take(lambda: _dns(session, context.repo))
    take(lambda: destinations.compare(session))
    take(lambda: rules.compare(session))
    take(lambda: worker.look(session))
    take(lambda: stores.namespace(session))
    take(lambda: stores.spool(session))
    take(lambda: worker.compare(session, context.repo))
    if problems:
        raise Refused(*dict.fromkeys(problems))
    return planned(items)


def _dns(session: Session, repo: Path) -> Iterable[Change | Note]:
    """Routing first: whether mail arrives elsewhere decides which records wait."""
    found = records.live(session)
    routed = list(routing.compare(session, found))
    yield from records.compare(session, found)
    yield from routed
    yield from relay_records.compare(session, repo, found)
