"""The tunnel, its ingress rules, and its token, which goes into the secrets folder and nowhere else."""

from collections.abc import Iterator
from typing import Any

from mailctl.edge import access, plan
from mailctl.edge.cloud import PER_PAGE, TUNNELS, absent, created, explained
from mailctl.edge.host import TUNNEL_TOKEN, tunnel_of
from mailctl.edge.plan import Change, Note
from mailctl.edge.session import Session

KIND, INGRESS, TOKEN = "tunnel", "tunnel ingress", "tunnel token"
ELSE = "everything else"
SHOWN = ("hostname", "path", "service")
Rows = list[dict[str, Any]]


def compare(session: Session) -> Iterator[Change | Note]:
    """Call before the records: their CNAME need the tunnel's id, which is kept in `known`."""
    cloud, name = session.cloud, session.edge["tunnel"]["name"]
    with explained("reading the tunnels", TUNNELS):
        tunnels = cloud.client.zero_trust.tunnels.cloudflared
        listed = tunnels.list(account_id=cloud.account_id, name=name, is_deleted=False, per_page=PER_PAGE)
        found = next((tunnel for tunnel in listed if tunnel.name == name), None)
        rows = _ingress_now(session, str(found.id)) if found else []
    if found is None:
        yield Change(
            plan.TUNNEL, plan.CREATE, KIND, name, {}, {"name": name}, TUNNELS, lambda: _create(session)
        )
    else:
        cloud.known["tunnel"] = str(found.id)
    held = tunnel_of(session.secrets.text(TUNNEL_TOKEN))
    unknown = found and held != found.id and session.secrets.path is not None
    # A tunnel that serves no host name is one that an interrupted apply has made.
    others = _served(rows) - _served(wanted(session))
    if unknown and others and not session.adopts(name):
        yield Note(
            plan.CONFLICT, KIND, name, "a tunnel of that name serves other host names, and is not ours"
        )
        return
    yield from _token(session, held, str(found.id) if found else None)
    now, want = ingress(session, rows), ingress(session, wanted(session))
    if now != want:
        shown = {"ingress": "\n".join(now)} if now else {}
        action = plan.UPDATE if now else plan.CREATE
        run = lambda: _configure(session)  # noqa: E731
        yield Change(plan.INGRESS, action, INGRESS, name, shown, {"ingress": "\n".join(want)}, TUNNELS, run)


def _token(session: Session, held: str | None, tunnel: str | None) -> Iterator[Change | Note]:
    if session.secrets.path is None:
        yield Note(
            plan.WAITING, TOKEN, TUNNEL_TOKEN, "there is no secrets folder here; apply runs on the host"
        )
    elif held is None or held != tunnel:
        before = {"file": "of another tunnel"} if held else {}
        after = {"file": f"secrets/{TUNNEL_TOKEN} (not shown)"}
        action = plan.UPDATE if held else plan.CREATE
        run = lambda: _store_token(session)  # noqa: E731
        yield Change(plan.TOKEN, action, TOKEN, TUNNEL_TOKEN, before, after, TUNNELS, run)


def _ingress_now(session: Session, tunnel: str) -> Rows:
    configurations = session.cloud.client.zero_trust.tunnels.cloudflared.configurations
    answer = absent(lambda: configurations.get(tunnel, account_id=session.cloud.account_id))
    config = answer.config if answer else None
    rules = (config.ingress if config else None) or []
    return [rule.model_dump(exclude_none=True, by_alias=True) for rule in rules]


def wanted(session: Session) -> Rows:
    """The file's ingress rules; those of a guarded host let only its Access application's tokens through."""
    rows = []
    for row in session.edge["tunnel"]["ingress"]:
        guard = access.guard(session, row.get("hostname"))
        rows.append(row | {"originRequest": {"access": guard}} if guard else row)
    return rows


def _served(rows: Rows) -> set[tuple[str, str | None, str]]:
    return {(row["hostname"], row.get("path"), row["service"]) for row in rows if row.get("hostname")}


def ingress(session: Session, rows: Rows) -> list[str]:
    """Ingress rules as lines: `host [path] → service`, its guard, and whatever else a rule says."""
    lines = []
    for row in rows:
        origin, guard = dict(row.get("originRequest", {})), access.guard(session, row.get("hostname"))
        only = ""
        if guard and guard.items() <= origin.get("access", {}).items():
            only = ", only with a token of Access"
            del origin["access"]
        rest = {key: value for key, value in row.items() if key not in SHOWN} | {"originRequest": origin}
        extra = [f"{key}={value}" for key, value in sorted(rest.items()) if value != {}]
        left = " ".join(filter(None, [row.get("hostname") or ELSE, row.get("path")]))
        lines.append(" ".join([f"{left} → {row['service']}{only}", *extra]))
    return lines


def _create(session: Session) -> None:
    cloud, name = session.cloud, session.edge["tunnel"]["name"]
    tunnels = cloud.once().zero_trust.tunnels.cloudflared
    tunnel = created(lambda: tunnels.create(account_id=cloud.account_id, name=name, config_src="cloudflare"))
    cloud.known["tunnel"] = str(tunnel.id)


def _store_token(session: Session) -> None:
    cloud = session.cloud
    tokens = cloud.client.zero_trust.tunnels.cloudflared.token
    session.secrets.write(TUNNEL_TOKEN, tokens.get(cloud.known["tunnel"], account_id=cloud.account_id))


def _configure(session: Session) -> None:
    cloud = session.cloud
    configurations = cloud.client.zero_trust.tunnels.cloudflared.configurations
    config: Any = {"ingress": wanted(session)}
    configurations.update(cloud.known["tunnel"], account_id=cloud.account_id, config=config)
