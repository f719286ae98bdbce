"""The fake refuses what Cloudflare's documentation says that Cloudflare refuses, with its status and code."""

from collections.abc import Callable
from typing import Any

import pytest
from cloudflare import APIStatusError, Cloudflare
from fake_cloudflare import FakeCloudflare
from fake_cloudflare.state import ACCOUNT, ZONE_ID

from mailctl.edge.cloud import codes

ADDRESS, BUCKET = "me@elsewhere.example", "a-bucket"
Call = Callable[[Cloudflare, Any], object]


def _rule(client: Cloudflare, *targets: str, address: str = "sales@example.com") -> object:
    matchers: Any = [{"type": "literal", "field": "to", "value": address}]
    actions: Any = [{"type": "forward", "value": list(targets)}]
    rules = client.email_routing.rules
    return rules.create(zone_id=ZONE_ID, name="a rule", enabled=True, matchers=matchers, actions=actions)


def _confirmed(state: Any) -> None:
    state.add_destination(ADDRESS)
    state.confirm(ADDRESS)


def _full_of_rules(client: Cloudflare, state: Any) -> object:
    _confirmed(state)
    state.rules = {str(number): {"matchers": [number]} for number in range(200)}
    return _rule(client, ADDRESS)


def _full_of_destinations(client: Cloudflare, state: Any) -> object:
    for number in range(200):
        state.add_destination(f"a{number}@elsewhere.example")
    return client.email_routing.addresses.create(account_id=ACCOUNT, email=ADDRESS)


def _long_recipient(client: Cloudflare, state: Any) -> object:
    _confirmed(state)
    return _rule(client, ADDRESS, address="a" * 79 + "@example.com")


def _two_targets(client: Cloudflare, state: Any) -> object:
    _confirmed(state)
    return _rule(client, ADDRESS, ADDRESS)


def _bucket(client: Cloudflare, name: str) -> object:
    return client.r2.buckets.create(account_id=ACCOUNT, name=name)


def _twice(make: Callable[[], object]) -> object:
    make()
    return make()


def _lifecycle(client: Cloudflare, state: Any, *rules: Any) -> object:
    state.add_bucket(BUCKET)
    return client.r2.buckets.lifecycle.update(BUCKET, account_id=ACCOUNT, rules=rules)


def _deletes(name: str, age: int) -> dict[str, Any]:
    condition = {"condition": {"type": "Age", "maxAge": age}}
    return {"id": name, "enabled": True, "conditions": {"prefix": ""}, "deleteObjectsTransition": condition}


def _upload(client: Cloudflare, *bindings: Any) -> object:
    metadata: Any = {"main_module": "w.js", "compatibility_date": "2026-04-01", "bindings": bindings}
    files: Any = [("w.js", b"export default {}", "application/javascript+module")]
    return client.workers.scripts.update("w", account_id=ACCOUNT, metadata=metadata, files=files)


def _crons(client: Cloudflare, *crons: str) -> object:
    _upload(client)
    body: Any = [{"cron": cron} for cron in crons]
    return client.workers.scripts.schedules.update("w", account_id=ACCOUNT, body=body)


REFUSALS: dict[str, tuple[int, int, Call]] = {
    "a forward to an address that has not confirmed": (400, 2054, lambda c, s: _rule(c, ADDRESS)),
    "a forward to two addresses": (422, 2007, _two_targets),
    "a recipient of more than 90 characters": (422, 2007, _long_recipient),
    "rule 201": (400, 2021, _full_of_rules),
    "destination 201": (409, 2032, _full_of_destinations),
    "a bucket while R2 is not enabled": (
        403,
        10042,
        lambda c, s: (setattr(s, "has_r2", False), _bucket(c, BUCKET)),
    ),
    "a bucket's name with capitals": (400, 10005, lambda c, s: _bucket(c, "A-Bucket")),
    "a bucket's name of 64 characters": (400, 10005, lambda c, s: _bucket(c, "a" * 64)),
    "a bucket twice": (409, 10073, lambda c, s: _twice(lambda: _bucket(c, BUCKET))),
    "rules of a bucket that is not there": (
        404,
        10006,
        lambda c, s: c.r2.buckets.lifecycle.get(BUCKET, account_id=ACCOUNT),
    ),
    "a rule that deletes at once": (400, 10021, lambda c, s: _lifecycle(c, s, _deletes("a", 0))),
    "two rules of one name": (400, 10021, lambda c, s: _lifecycle(c, s, *[_deletes("a", 60)] * 2)),
    "a namespace twice": (
        400,
        10014,
        lambda c, s: _twice(lambda: c.kv.namespaces.create(account_id=ACCOUNT, title="a")),
    ),
    "a sixth cron trigger": (400, 10072, lambda c, s: _crons(c, *(f"{n} * * * *" for n in range(6)))),
    "a Worker bound to no bucket": (
        400,
        10085,
        lambda c, s: _upload(c, {"type": "r2_bucket", "name": "SPOOL", "bucket_name": BUCKET}),
    ),
    "a Worker bound to no namespace": (
        400,
        10042,
        lambda c, s: _upload(c, {"type": "kv_namespace", "name": "STATE", "namespace_id": "f" * 32}),
    ),
}


@pytest.mark.parametrize(("status", "code", "call"), REFUSALS.values(), ids=list(REFUSALS))
def test_the_fake_refuses(cloudflare: FakeCloudflare, status: int, code: int, call: Call) -> None:
    client = Cloudflare(api_token=cloudflare.token, base_url=cloudflare.url, max_retries=0)
    with pytest.raises(APIStatusError) as refused:
        call(client, cloudflare.state)
    assert (refused.value.status_code, codes(refused.value)) == (status, {code})
