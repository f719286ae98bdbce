"""Cloudflare Access: the team, a way to log in, and one application with its policy a guarded host name."""

from collections.abc import Iterator
from typing import Any

from mailctl.edge import plan
from mailctl.edge.cloud import APPLICATIONS, PER_PAGE, TEAM, absent, created, explained
from mailctl.edge.plan import Change, Note
from mailctl.edge.session import Session

APPLICATION, TEAM_KIND, LOGIN = "Access application", "Zero Trust team", "Access log-in"
DEFAULT_SESSION = "12h"
PROGRAMS = "non_identity"
# https://developers.cloudflare.com/cloudflare-one/faq/getting-started-faq/
TEAM_DOMAIN = ".cloudflareaccess.com"


def compare(session: Session) -> Iterator[Change | Note]:
    """Call first: the tunnel's ingress needs the team and each application's audience, kept in `known`."""
    yield from _team(session)
    cloud = session.cloud
    with explained("reading the Access applications", APPLICATIONS):
        found = list(
            cloud.client.zero_trust.access.applications.list(account_id=cloud.account_id, per_page=PER_PAGE)
        )
    # Only applications of this type have a domain, which no common type of the SDK says.
    hosted: list[Any] = [app for app in found if app.type == "self_hosted"]
    wanted = session.edge["access"]["applications"]
    for want in wanted:
        there = [app for app in hosted if covers(app.domain, want["host"])]
        yield from _application(session, want, there)
    hosts = {want["host"] for want in wanted}
    for app in hosted:
        if app.name == _name(session, app.domain) and app.domain not in hosts:
            yield _left(session, app)


def covers(domain: str, host: str) -> bool:
    """Whether an application's domain stands for this host, with or without a path."""
    return domain.split("/")[0] == host


def guard(session: Session, host: str | None) -> dict[str, Any] | None:
    """What cloudflared asks of each request to a host that has an application; None for any other host.

    The audience is None until the application is made.
    """
    if host not in {application["host"] for application in session.edge["access"]["applications"]}:
        return None
    known = session.cloud.known
    return {"required": True, "teamName": known.get("team"), "audTag": [known.get(_audience(host))]}


def _audience(host: str | None) -> str:
    return f"audience of {host}"


def _team(session: Session) -> Iterator[Change | Note]:
    """Made when the account has none; a team that is there is never changed."""
    cloud, team = session.cloud, session.edge["access"]["team"]
    trust = cloud.client.zero_trust
    with explained("reading the Zero Trust team", TEAM):
        organisation = absent(lambda: trust.organizations.list(account_id=cloud.account_id))
        logins = list(trust.identity_providers.list(account_id=cloud.account_id)) if organisation else []
    domain = str(organisation.auth_domain) if organisation else f"{team}{TEAM_DOMAIN}"
    cloud.known["team"] = domain.removesuffix(TEAM_DOMAIN)
    if not organisation:
        once = cloud.once().zero_trust.organizations
        run = lambda: created(  # noqa: E731
            lambda: once.create(account_id=cloud.account_id, name=team, auth_domain=domain)
        )
        yield Change(plan.ACCESS, plan.CREATE, TEAM_KIND, team, {}, {"domain": domain}, TEAM, run)
    if not logins:
        after = {"type": "one-time code by mail"}
        run = lambda: _make_login(session)  # noqa: E731
        yield Change(plan.ACCESS, plan.CREATE, LOGIN, "one-time code", {}, after, TEAM, run)


def _make_login(session: Session) -> None:
    """A new team may bring the one-time code along, so it is looked for again first."""
    cloud = session.cloud
    if list(cloud.client.zero_trust.identity_providers.list(account_id=cloud.account_id)):
        return
    once = cloud.once().zero_trust.identity_providers
    account, name = cloud.account_id, "One-time code"
    created(lambda: once.create(account_id=account, name=name, type="onetimepin", config={}))


def _application(session: Session, want: dict[str, Any], there: list[Any]) -> Iterator[Change | Note]:
    host, after = want["host"], shown_wanted(want)
    ours = [app for app in there if app.name == _name(session, host)]
    foreign = [app for app in there if app.name != _name(session, host)]
    if foreign and not session.adopts(host):
        yield Note(plan.CONFLICT, APPLICATION, host, f"{foreign[0].name} guards it already and is not ours")
        return
    keep, *others = [*ours, *foreign] or [None]
    if keep:
        session.cloud.known[_audience(host)] = keep.aud
    if keep is None or keep in foreign or _shown(keep) != after:
        before = _shown(keep) if keep else {}
        action = plan.CREATE if keep is None else plan.ADOPT if keep in foreign else plan.UPDATE
        app_id = str(keep.id) if keep else None
        run = lambda: _put(session, want, app_id)  # noqa: E731
        yield Change(plan.ACCESS, action, APPLICATION, host, before, after, APPLICATIONS, run)
    for app in others:
        yield _left(session, app)


def _left(session: Session, app: Any) -> Change | Note:
    if not session.prune:
        return Note(plan.UNNEEDED, APPLICATION, app.domain, f"{app.name} is not asked for")
    cloud = session.cloud
    applications = cloud.client.zero_trust.access.applications

    def run() -> None:
        from cloudflare import NotFoundError

        try:
            applications.delete(app.id, account_id=cloud.account_id)
        except NotFoundError:
            return

    return Change(plan.REMOVAL, plan.DELETE, APPLICATION, app.domain, _shown(app), {}, APPLICATIONS, run)


def shown_wanted(want: dict[str, Any]) -> dict[str, str]:
    emails = ", ".join(sorted(address.lower() for address in want["emails"]))
    programs = ", ".join(sorted(map(str, _programs(want))))
    emails += f"; {PROGRAMS}: {programs}" if programs else ""
    return {"allow": emails, "session": want.get("session", DEFAULT_SESSION), "domain": want["host"]}


def _shown(app: Any) -> dict[str, str]:
    """What an application lets through; anything that is not a plain list of addresses is shown as it is."""
    policies = app.policies or []
    parts = []
    for policy in policies:
        include = [_rule(rule) for rule in policy.include or []]
        clean = policy.decision == "allow" and not (policy.exclude or policy.require)
        text = ", ".join(sorted(include))
        parts.append(text if clean else f"{policy.decision}: {text}")
    return {
        "allow": "; ".join(parts) or "nobody",
        "session": app.session_duration or "",
        "domain": app.domain,
    }


def _rule(rule: Any) -> str:
    fields = rule.model_dump(exclude_none=True)
    email = fields.get("email")
    if set(fields) == {"email"} and isinstance(email, dict):
        return str(email.get("email", "")).lower()
    return str(fields)


def _programs(want: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules that let programs in, by their service tokens."""
    return [{"service_token": {"token_id": token}} for token in want.get("service_tokens", ())]


def _name(session: Session, host: str) -> str:
    return f"{host} ({session.mark})"


def _put(session: Session, want: dict[str, Any], app_id: str | None) -> None:
    cloud, host = session.cloud, want["host"]
    include = [{"email": {"email": address.lower()}} for address in want["emails"]]
    policies = [{"name": session.mark, "decision": "allow", "include": include, "precedence": 1}]
    if programs := _programs(want):
        # Cloudflare's word for: without a person's log-in.
        name = f"{session.mark} programs"
        policies.append({"name": name, "decision": PROGRAMS, "include": programs, "precedence": 2})
    fields: dict[str, Any] = {
        "account_id": cloud.account_id,
        "type": "self_hosted",
        "name": _name(session, host),
        "domain": host,
        "session_duration": want.get("session", DEFAULT_SESSION),
        "policies": policies,
        "app_launcher_visible": False,
        "http_only_cookie_attribute": True,
    }
    if app_id:
        cloud.client.zero_trust.access.applications.update(app_id, **fields)
        return
    made: Any = created(lambda: cloud.once().zero_trust.access.applications.create(**fields))
    cloud.known[_audience(host)] = made.aud
