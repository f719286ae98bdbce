"""Which call does what: method, path, the permission it needs, the fields it takes, and the work."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fake_cloudflare import account, dns, mail, stores, workers
from fake_cloudflare.state import ACCOUNT, ZONE_ID, Json, State

ZONE_PATH, ACCOUNT_PATH = f"/zones/{ZONE_ID}", f"/accounts/{ACCOUNT}"
PAGES = frozenset({"page", "per_page"})
RULE_FIELDS = {"name", "enabled", "actions", "matchers"}
APP_FIELDS = {"type", "name", "domain", "session_duration", "policies", "app_launcher_visible"}
APP_FIELDS |= {"http_only_cookie_attribute"}


@dataclass(frozen=True)
class Call:
    """A request that has found its route."""

    state: State
    ids: tuple[str, ...]
    query: Json
    body: Any


@dataclass(frozen=True)
class Route:
    """`fields` are those that a body may have, None for no body, empty for a list.

    What is served in pages has PAGES in `query`; `most` are the entries that a page may have.
    """

    method: str
    pattern: re.Pattern[str]
    scope: str
    work: Callable[[Call], Any]
    fields: frozenset[str] | None = None
    query: frozenset[str] = frozenset()
    most: int = 1000

    @property
    def paged(self) -> bool:
        return self.query >= PAGES


def _route(
    method: str,
    path: str,
    scope: str,
    work: Callable[[Call], Any],
    fields: set[str] | frozenset[str] | None = None,
    query: frozenset[str] = frozenset(),
    most: int = 1000,
) -> Route:
    pattern = re.compile(re.sub(r"\{\w+\}", "([^/]+)", path))
    return Route(method, pattern, scope, work, None if fields is None else frozenset(fields), query, most)


RECORDS, RULES = f"{ZONE_PATH}/dns_records", f"{ZONE_PATH}/email/routing/rules"
ROUTING = f"{ZONE_PATH}/email/routing"
SCRIPT, TUNNEL = f"{ACCOUNT_PATH}/workers/scripts/{{name}}", f"{ACCOUNT_PATH}/cfd_tunnel"
ACCESS = f"{ACCOUNT_PATH}/access"
ADDRESSES, BUCKETS = f"{ACCOUNT_PATH}/email/routing/addresses", f"{ACCOUNT_PATH}/r2/buckets"
NAMESPACES, SCHEDULES = f"{ACCOUNT_PATH}/storage/kv/namespaces", f"{SCRIPT}/schedules"
# https://developers.cloudflare.com/api/resources/email_routing/subresources/rules/methods/list/
ROUTING_PAGE = 50

ROUTES = (
    _route("GET", "/zones", "zone", lambda c: dns.zones(c.state, c.query), query=PAGES | {"name"}),
    _route("GET", RECORDS, "dns", lambda c: dns.listed(c.state), query=PAGES),
    _route("POST", RECORDS, "dns", lambda c: dns.create(c.state, c.body), dns.FIELDS),
    _route("POST", f"{RECORDS}/batch", "dns", lambda c: dns.batch(c.state, c.body), {"deletes", "posts"}),
    _route("PATCH", f"{RECORDS}/{{id}}", "dns", lambda c: dns.edit(c.state, *c.ids, c.body), dns.FIELDS),
    _route("DELETE", f"{RECORDS}/{{id}}", "dns", lambda c: dns.delete(c.state, *c.ids)),
    _route("GET", ROUTING, "settings", lambda c: mail.settings(c.state)),
    _route("POST", f"{ROUTING}/dns", "routing_dns", lambda c: mail.switch_on(c.state), {"name"}),
    _route("PATCH", f"{ROUTING}/dns", "routing_dns", lambda c: mail.unlock(c.state), {"name"}),
    _route("POST", f"{ROUTING}/enable", "settings", lambda c: mail.switch_on(c.state), set()),
    _route("POST", f"{ROUTING}/unlock", "settings", lambda c: mail.unlock(c.state), {"name"}),
    _route("GET", f"{RULES}/catch_all", "rules", lambda c: mail.catch_all(c.state)),
    _route("PUT", f"{RULES}/catch_all", "rules", lambda c: mail.set_catch_all(c.state, c.body), RULE_FIELDS),
    _route("GET", RULES, "rules", lambda c: mail.rules(c.state), query=PAGES, most=ROUTING_PAGE),
    _route("POST", RULES, "rules", lambda c: mail.create_rule(c.state, c.body), RULE_FIELDS),
    _route(
        "PUT", f"{RULES}/{{id}}", "rules", lambda c: mail.update_rule(c.state, *c.ids, c.body), RULE_FIELDS
    ),
    _route("DELETE", f"{RULES}/{{id}}", "rules", lambda c: mail.delete_rule(c.state, *c.ids)),
    _route(
        "GET", ADDRESSES, "addresses", lambda c: mail.destinations(c.state), query=PAGES, most=ROUTING_PAGE
    ),
    _route("POST", ADDRESSES, "addresses", lambda c: mail.create_destination(c.state, c.body), {"email"}),
    _route("DELETE", f"{ADDRESSES}/{{id}}", "addresses", lambda c: mail.delete_destination(c.state, *c.ids)),
    _route("POST", BUCKETS, "storage", lambda c: stores.create_bucket(c.state, c.body), {"name"}),
    _route("GET", f"{BUCKETS}/{{name}}/lifecycle", "storage", lambda c: stores.lifecycle(c.state, *c.ids)),
    _route(
        "PUT",
        f"{BUCKETS}/{{name}}/lifecycle",
        "storage",
        lambda c: stores.set_lifecycle(c.state, *c.ids, c.body),
        {"rules"},
    ),
    _route(
        "GET",
        f"{BUCKETS}/{{name}}/objects",
        "storage",
        lambda c: stores.objects(c.state, *c.ids, c.query),
        query=frozenset({"per_page", "prefix"}),
    ),
    _route("GET", NAMESPACES, "namespaces", lambda c: list(c.state.namespaces.values()), query=PAGES),
    _route("POST", NAMESPACES, "namespaces", lambda c: stores.create_namespace(c.state, c.body), {"title"}),
    _route(
        "GET",
        f"{NAMESPACES}/{{id}}/keys",
        "namespaces",
        lambda c: stores.keys(c.state, *c.ids),
        query=frozenset({"limit"}),
    ),
    _route("GET", SCHEDULES, "workers", lambda c: workers.schedules(c.state, *c.ids)),
    _route(
        "PUT", SCHEDULES, "workers", lambda c: workers.set_schedules(c.state, *c.ids, c.body), frozenset()
    ),
    _route("GET", f"{SCRIPT}/settings", "workers", lambda c: workers.script_settings(c.state, *c.ids)),
    _route("GET", f"{SCRIPT}/content/v2", "workers", lambda c: workers.script_content(c.state, *c.ids)),
    _route("GET", f"{SCRIPT}/subdomain", "workers", lambda c: workers.subdomain(c.state, *c.ids)),
    _route(
        "POST",
        f"{SCRIPT}/subdomain",
        "workers",
        lambda c: workers.set_subdomain(c.state, *c.ids, c.body),
        {"enabled", "previews_enabled"},
    ),
    _route(
        "PUT",
        SCRIPT,
        "workers",
        lambda c: workers.upload(c.state, *c.ids, c.body["metadata"], c.body["files"]),
        {"metadata", "files"},
    ),
    _route(
        "GET",
        TUNNEL,
        "tunnels",
        lambda c: account.tunnels(c.state, c.query),
        query=PAGES | {"name", "is_deleted"},
    ),
    _route(
        "POST", TUNNEL, "tunnels", lambda c: account.create_tunnel(c.state, c.body), {"name", "config_src"}
    ),
    _route("GET", f"{TUNNEL}/{{id}}/token", "tunnels", lambda c: _token(c)),
    _route(
        "GET", f"{TUNNEL}/{{id}}/configurations", "tunnels", lambda c: account.configuration(c.state, *c.ids)
    ),
    _route(
        "PUT",
        f"{TUNNEL}/{{id}}/configurations",
        "tunnels",
        lambda c: account.configure(c.state, *c.ids, c.body),
        {"config"},
    ),
    _route("GET", f"{ACCESS}/organizations", "team", lambda c: account.team(c.state)),
    _route(
        "POST",
        f"{ACCESS}/organizations",
        "team",
        lambda c: account.create_team(c.state, c.body),
        {"name", "auth_domain"},
    ),
    _route(
        "GET", f"{ACCESS}/identity_providers", "team", lambda c: list(c.state.logins.values()), query=PAGES
    ),
    _route(
        "POST",
        f"{ACCESS}/identity_providers",
        "team",
        lambda c: account.create_login(c.state, c.body),
        {"name", "type", "config"},
    ),
    _route(
        "GET", f"{ACCESS}/apps", "applications", lambda c: list(c.state.applications.values()), query=PAGES
    ),
    _route(
        "POST",
        f"{ACCESS}/apps",
        "applications",
        lambda c: account.create_application(c.state, c.body),
        APP_FIELDS,
    ),
    _route(
        "PUT",
        f"{ACCESS}/apps/{{id}}",
        "applications",
        lambda c: account.update_application(c.state, *c.ids, c.body),
        APP_FIELDS,
    ),
    _route(
        "DELETE",
        f"{ACCESS}/apps/{{id}}",
        "applications",
        lambda c: account.delete_application(c.state, *c.ids),
    ),
)


def _token(call: Call) -> str:
    account.tunnel(call.state, *call.ids)
    return call.state.tunnel_token(*call.ids)


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match and route.method == method:
            return route, match.groups()
    return None
