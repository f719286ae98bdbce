"""The check list's lines about the relay: log-in, what the key may do, DNS records. Nothing is sent."""

from collections.abc import Iterator
from typing import Any

from mailctl.core import relays
from mailctl.core.checklist import FAILED, OK, WARNING, Line
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.relay_login import SECRET, Unreached, log_in
from mailctl.core.relays import Relay

NAME, RECORDS = "relay", "DNS records of the relay"
API_SECONDS = 15.0
MAY_SEND, MAY_READ_DOMAINS = "mail.send", "whitelabel.read"


def lines(context: Context) -> Iterator[Line]:
    """Raises Refused when main.cf, the table or edge.yml cannot be read."""
    relay = relays.configured(context.repo)
    yield from _account(context, relay)
    if relay.enters_records:
        yield Line(RECORDS, OK, f"made by {relay.title}; make edge-plan looks for them")
        return
    missing = list(relay.missing(context.setting("MAIL_DOMAIN"), relays.pasted(context.repo)))
    if missing:
        fix = f"paste what {relay.title} shows below dns: in edge/edge.yml (docs/relays.md); make edge-apply"
        yield Line(RECORDS, WARNING, f"not in edge/edge.yml: {'; '.join(missing)}", fix)
    elif relay.facts["records"]["value"]:
        yield Line(RECORDS, OK, "in edge/edge.yml")


def _account(context: Context, relay: Relay) -> Iterator[Line]:
    """The log-in with the secret that Postfix uses, and what the account says about itself."""
    where = f"{relay.host}:{relay.port}"
    if relay.tls is not None and relay.tls != relay.wrapped:
        speaks = "TLS from the first byte" if relay.tls else "STARTTLS"
        fix = f"smtp_tls_wrappermode = {'yes' if relay.tls else 'no'} in {relays.MAIN}"
        yield Line(NAME, FAILED, f"{where} speaks {speaks}, and Postfix does not", fix)
        return
    secret = context.folder("SECRETS_DIR", "secrets") / SECRET
    key = secret.read_text("utf-8").strip() if secret.is_file() else ""
    if not key:
        fix = "write SENDGRID_API_KEY into .env, then: make setup"
        yield Line(NAME, WARNING, f"not tried: there is no key for {where}; mail to the world waits", fix)
        return
    try:
        log_in(context, relay, key)
    except Refused as refusal:
        problem = refusal.problems[0]
        mark = WARNING if isinstance(refusal, Unreached) else FAILED
        yield Line(NAME, mark, f"{problem.field} {problem.wrong}", problem.fix)
        return
    yield Line(NAME, OK, f"{where} takes the log-in")
    yield from _read_back(context, relay, key)


def _read_back(context: Context, relay: Relay, key: str) -> Iterator[Line]:
    """What its web API says about the key and the domain, as far as there is one and the key may ask."""
    name = f"{NAME} account"
    if not relay.api:
        yield Line(name, OK, f"unknown: {relay.title} has nothing that this key may read")
        return
    scopes = _ask(relay, key, "/v3/scopes").get("scopes")
    if scopes is None:
        yield Line(name, OK, f"unknown: {relay.api} gave no answer about the key")
    elif MAY_SEND not in scopes:
        yield Line(name, FAILED, f"the key may not send: it lacks {MAY_SEND}", "make one with Mail Send")
    elif MAY_READ_DOMAINS not in scopes:
        yield Line(name, OK, "the key may send; whether the domain is authenticated is unknown to it")
    else:
        yield _domain(name, relay, key, context.setting("MAIL_DOMAIN"))


def _domain(name: str, relay: Relay, key: str, domain: str) -> Line:
    found = _ask(relay, key, f"/v3/whitelabel/domains?domain={domain}").get("domains")
    if found is None:
        return Line(name, OK, "the key may send; whether the domain is authenticated is unknown")
    if any(one.get("domain") == domain and one.get("valid") for one in found):
        return Line(name, OK, f"the key may send, and {domain} is authenticated")
    fix = f"{relay.title}, Settings, Sender Authentication: {domain}, then Verify"
    return Line(name, WARNING, f"{domain} is not authenticated there", fix)


def _ask(relay: Relay, key: str, path: str) -> dict[str, Any]:
    """One answer of the web API; a list is {"domains": …}; empty when there is no useful one."""
    import httpx

    try:
        answer = httpx.get(
            f"{relay.api}{path}", headers={"Authorization": f"Bearer {key}"}, timeout=API_SECONDS
        )
        found = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return {}
    return found if isinstance(found, dict) else {"domains": found}
