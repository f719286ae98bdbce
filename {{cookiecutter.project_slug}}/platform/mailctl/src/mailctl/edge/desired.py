"""Reads edge/edge.yml and refuses what cannot work, before anything is asked of Cloudflare."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mailctl.core.errors import Problem, Refused

FILE = "edge/edge.yml"
SCHEMA = "platform/schemas/edge.schema.json"
NOT_FOUND = {"service": "http_status:404"}
# RFC 7208, section 4.6.4: what makes a receiver ask DNS, and how often it does so before it gives up.
LOOKUPS = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
LOOKUP_LIMIT = 10


def load(repo: Path) -> dict[str, Any]:
    """The desired state. Raises Refused with every problem found, each with its place in the file."""
    import yaml

    try:
        text = (repo / FILE).read_text("utf-8")
        edge: dict[str, Any] = yaml.safe_load(text)
    except FileNotFoundError:
        raise Refused(Problem(FILE, "the file does not exist", f"git checkout -- {FILE}")) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refused(Problem(FILE, f"cannot be read: {error}", "correct what it names")) from None
    problems = list(_by_schema(repo, edge)) or list(_by_meaning(edge))
    if problems:
        raise Refused(*problems)
    return edge


def mechanisms(spf: str) -> list[str]:
    """The terms of an SPF record that cost the receiver a DNS query."""
    terms = [term.lstrip("+-~?") for term in spf.split()[1:]]
    return [term for term in terms if re.split("[:=/]", term)[0].lower() in LOOKUPS]


def _by_schema(repo: Path, edge: Any) -> Iterator[Problem]:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    schema = json.loads((repo / SCHEMA).read_text("utf-8"))
    for error in Draft202012Validator(schema).iter_errors(edge):
        inner = best_match(error.context) if error.context else None
        place = (inner or error).json_path.removeprefix("$.").removeprefix("$") or "the file"
        allowed = error.schema.get("x-allowed") or (inner and inner.schema.get("x-allowed"))
        value = None if isinstance(error.instance, dict | list) else str(error.instance)
        yield _problem(place, (inner or error).message[:200], allowed or "what the message says", value)


def _by_meaning(edge: dict[str, Any]) -> Iterator[Problem]:
    """What spans several places of the file."""
    ingress = edge["tunnel"]["ingress"]
    hosts = [line["hostname"] for line in ingress if "hostname" in line]
    if ingress[-1] != NOT_FOUND:
        wrong = "does not end in the line for whatever fits no host name"
        yield _problem("tunnel.ingress", wrong, "put {service: http_status:404} last")
    names = [*hosts, *(record["name"] for record in edge["dns"])]
    outside = [name for name in names if name != edge["zone"] and not name.endswith(f".{edge['zone']}")]
    for name in dict.fromkeys(outside):
        yield _problem("name", f"is not inside the zone {edge['zone']}", "name one inside the zone", name)
    for number, application in enumerate(edge["access"]["applications"]):
        if application["host"] not in hosts:
            place, wrong = f"access.applications[{number}].host", "is no host name of the tunnel"
            yield _problem(place, wrong, f"use one of {', '.join(hosts)}", application["host"])
        if all(email.lower().endswith(f"@{edge['zone']}") for email in application["emails"]):
            place = f"access.applications[{number}].emails"
            wrong = "lead to this mail server only: nobody could read a code while it is down or not set up"
            yield _problem(place, wrong, "add an address elsewhere that somebody reads")
    api = edge["worker"]["variables"]["API_URL"]
    if api.removeprefix("https://") not in hosts:
        wrong = "is no host name of the tunnel: the Worker could not reach the API"
        yield _problem("worker.variables.API_URL", wrong, "https:// and a host name of tunnel.ingress", api)
    yield from _mail_by_meaning(edge)
    yield from _destinations_by_meaning(edge)


def _destinations_by_meaning(edge: dict[str, Any]) -> Iterator[Problem]:
    """Mail goes only to addresses that are asked for their confirmation, and alarms to one outside."""
    known = {address.lower() for address in edge["email_routing"].get("destinations", [])}
    forwards = enumerate(edge["email_routing"].get("rules", []))
    used = {f"email_routing.rules[{number}].forward": rule.get("forward") for number, rule in forwards}
    alarms = edge["worker"].get("alarms", {})
    used["worker.alarms.to"] = alarms.get("to")
    for place, address in used.items():
        if address and address.lower() not in known:
            wrong = "is none of email_routing.destinations, so nobody is asked to confirm it"
            yield _problem(place, wrong, "add it there", address)
    if alarms and alarms["to"].lower().endswith(f"@{edge['zone']}"):
        wrong = "leads to this mail server: an alarm about it would wait in it"
        yield _problem("worker.alarms.to", wrong, "an address elsewhere that somebody reads", alarms["to"])
    if alarms and not alarms["from"].endswith(f"@{edge['zone']}"):
        wrong = f"is not inside the zone {edge['zone']}: Cloudflare sends from a domain of Email Routing only"
        yield _problem("worker.alarms.from", wrong, f"alarm@{edge['zone']}", alarms["from"])


def _mail_by_meaning(edge: dict[str, Any]) -> Iterator[Problem]:
    target = edge["email_routing"]["catch_all"]["worker"]
    if target != edge["worker"]["name"]:
        yield _problem("email_routing.catch_all.worker", "is not worker.name", edge["worker"]["name"], target)
    if edge["dkim"]["domain"] != edge["zone"]:
        wrong = "is not the zone: its keys' records would be elsewhere"
        yield _problem("dkim.domain", wrong, edge["zone"], edge["dkim"]["domain"])
    spf = [r for r in edge["dns"] if r["name"] == edge["zone"] and r["content"].startswith("v=spf1")]
    if len(spf) != 1:
        wrong = f"the zone has {len(spf)} SPF records; receivers accept exactly one"
        yield _problem("dns", wrong, "join them into one line that begins with v=spf1")
    for record in spf:
        if len(mechanisms(record["content"])) > LOOKUP_LIMIT:
            wrong = f"needs more than {LOOKUP_LIMIT} DNS look-ups, so that receivers ignore it"
            yield _problem("dns", wrong, "remove an include", record["content"])


def _problem(place: str, wrong: str, fix: str, value: str | None = None) -> Problem:
    return Problem(f"{FILE}: {place}", wrong, fix, value=value, next="make edge-plan")
