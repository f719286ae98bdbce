"""What is at the fake Cloudflare: one account with one zone, and what mailctl may make there."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
ACCOUNT = "a" * 32
ZONE_ID = "b" * 32
WHEN = "2026-01-02T03:04:05.000000Z"
SCOPES = ("zone", "dns", "settings", "rules", "workers", "tunnels", "applications", "team")
SCOPES += ("addresses", "namespaces", "storage")
MX = ("route1.mx.cloudflare.net", "route2.mx.cloudflare.net", "route3.mx.cloudflare.net")
OWN_SPF = '"v=spf1 include:_spf.mx.cloudflare.net ~all"'


class Refusal(Exception):
    """An answer other than success, with Cloudflare's HTTP status and error code."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def new_id() -> str:
    return secrets.token_hex(16)


@dataclass
class State:
    """`foreign_mx` is what switching routing on does beside MX of others: refuse, replace or keep (nothing
    official says; mailctl must come through each of them).

    `aliases_are_alone`: whether a CNAME has nothing beside it, as RFC 1034 demands. Cloudflare's page on
    records with the same name refuses A, AAAA and CNAME; in April 2026 a TXT was taken, and the CNAME hid it:
    https://github.com/cloudflare/cloudflare-docs/issues/30376
    """

    zone: str
    records: dict[str, Json] = field(default_factory=dict)
    routing: bool = False
    locked: bool = False
    foreign_mx: str = "refuse"
    aliases_are_alone: bool = True
    # Whether a token may call /email/routing/dns: people report both.
    routing_dns_allowed: bool = False
    rules_need_routing: bool = False
    rules: dict[str, Json] = field(default_factory=dict)
    catch_all: Json = field(default_factory=dict)
    scripts: dict[str, Json] = field(default_factory=dict)
    tunnels: dict[str, Json] = field(default_factory=dict)
    team: Json | None = None
    logins: dict[str, Json] = field(default_factory=dict)
    applications: dict[str, Json] = field(default_factory=dict)
    destinations: dict[str, Json] = field(default_factory=dict)
    # R2 has to be enabled once for each account: https://developers.cloudflare.com/r2/get-started/
    has_r2: bool = True
    buckets: dict[str, Json] = field(default_factory=dict)
    namespaces: dict[str, Json] = field(default_factory=dict)
    # Names of the keys in each KV namespace.
    keys: dict[str, list[str]] = field(default_factory=dict)
    # Cron triggers of the account's other Workers.
    other_crons: int = 0
    mx_seen: list[frozenset[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.catch_all = {
            "id": new_id(),
            "tag": new_id(),
            "name": "",
            "enabled": False,
            "actions": [{"type": "drop"}],
            "matchers": [{"type": "all"}],
        }

    def add_record(self, **fields: Any) -> Json:
        """Put a record there, as somebody else would in the dashboard."""
        record = {
            "id": new_id(),
            "ttl": 1,
            "proxied": False,
            "comment": None,
            "tags": [],
            "settings": {},
            "meta": {},
        }
        record |= {
            "created_on": WHEN,
            "modified_on": WHEN,
            "proxiable": fields["type"] in ("A", "AAAA", "CNAME"),
        }
        record |= fields
        self.records[record["id"]] = record
        self.saw_mx()
        return record

    def add_destination(self, email: str) -> Json:
        times = {"created": WHEN, "modified": WHEN, "verified": None}
        self.destinations[email.lower()] = {"id": new_id(), "tag": new_id(), "email": email, **times}
        return self.destinations[email.lower()]

    def confirm(self, email: str) -> None:
        """Whoever reads that mailbox clicks the link."""
        self.destinations[email.lower()]["verified"] = WHEN

    def confirmed(self, email: str) -> bool:
        return bool(self.destinations.get(email.lower(), {}).get("verified"))

    def add_bucket(self, name: str) -> None:
        """With the rule that every bucket has: https://developers.cloudflare.com/r2/buckets/object-lifecycles/"""
        abort = {"condition": {"type": "Age", "maxAge": 604800}}
        rule = {"id": "Default Multipart Abort Rule", "enabled": True, "conditions": {"prefix": ""}}
        self.buckets[name] = {"objects": [], "rules": [{**rule, "abortMultipartUploadsTransition": abort}]}

    def is_alias(self, record: Json) -> bool:
        """Whether resolvers see a CNAME: one that is proxied, or at the zone's own name, is flattened.

        https://developers.cloudflare.com/dns/cname-flattening/set-up-cname-flattening/
        """
        return bool(record["type"] == "CNAME" and not record.get("proxied") and record["name"] != self.zone)

    def mx(self) -> frozenset[str]:
        apex = (r for r in self.records.values() if r["type"] == "MX" and r["name"] == self.zone)
        return frozenset(record["content"] for record in apex)

    def saw_mx(self) -> None:
        """Remember every set of MX that resolvers could have seen."""
        if not self.mx_seen or self.mx_seen[-1] != self.mx():
            self.mx_seen.append(self.mx())

    def tunnel_token(self, tunnel: str) -> str:
        secret = self.tunnels[tunnel]["secret"]
        return base64.b64encode(json.dumps({"a": ACCOUNT, "t": tunnel, "s": secret}).encode()).decode()

    def public(self) -> Json:
        """The whole state without ids, to compare two of them."""
        records = sorted(
            (r["type"], r["name"], r["content"], r["proxied"], r["comment"]) for r in self.records.values()
        )
        ids = {t["id"]: t["name"] for t in self.tunnels.values()}
        ids |= {app["aud"]: app["domain"] for app in self.applications.values()}
        ids |= {entry["id"]: entry["title"] for entry in self.namespaces.values()}
        text = json.dumps(
            {
                "records": records,
                "routing": self.routing,
                "catch_all": _without_ids(self.catch_all),
                "rules": sorted(json.dumps(_without_ids(r), sort_keys=True) for r in self.rules.values()),
                "scripts": {name: _script(script) for name, script in self.scripts.items()},
                "tunnels": [{"name": t["name"], "config": t["config"]} for t in self.tunnels.values()],
                "destinations": sorted(self.destinations),
                "buckets": self.buckets,
                "namespaces": sorted(entry["title"] for entry in self.namespaces.values()),
                "team": self.team,
                "logins": [login["type"] for login in self.logins.values()],
                "applications": [_without_ids(app) for app in self.applications.values()],
            }
        )
        for random, name in ids.items():
            text = text.replace(random, name)
        return json.loads(text)


def _without_ids(thing: Json) -> Json:
    return {key: value for key, value in thing.items() if key not in ("id", "tag", "aud", "uid")}


def _script(script: Json) -> Json:
    return {key: str(value) for key, value in script.items()}
