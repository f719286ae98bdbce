"""`mailctl edge` and the addresses that Cloudflare may send to: asked for, waited for, then used."""

import pytest
from conftest import Cli
from edge_repo import EdgeRepo, apply, assert_in_line, document
from fake_cloudflare import FakeCloudflare

ADMIN = "admin@elsewhere.example"
SALES = {"address": "sales@example.com", "forward": ADMIN}


@pytest.fixture
def forwarding(edge_repo: EdgeRepo) -> EdgeRepo:
    edge_repo.edge["email_routing"]["rules"] = [SALES]
    edge_repo.save()
    return edge_repo


def test_an_address_is_asked_once_and_the_plan_says_that_it_waits(
    forwarding: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    assert f"click the link in the mail to {ADMIN}" in " ".join(apply(cli).split())
    assert list(cloudflare.state.destinations) == [ADMIN]
    notes = {n["kind"]: n["text"] for n in document(cli, "plan")["notes"] if n["why"] == "unconfirmed"}
    assert notes["destination address"] == (
        f"waits for its confirmation: click the link in the mail to {ADMIN}"
    )
    assert notes["Email Routing rule"] == f"comes when {ADMIN} has confirmed"
    assert not cloudflare.state.rules and "ALARM" not in _bindings(cloudflare)


def test_after_the_click_one_more_apply_forwards_and_gives_the_worker_its_way_to_alarm(
    forwarding: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    apply(cli)
    cloudflare.state.confirm(ADMIN)
    assert [change["kind"] for change in document(cli, "plan")["changes"]] == ["Worker", "Email Routing rule"]
    apply(cli)
    assert _bindings(cloudflare)["ALARM"] == {"destination_address": ADMIN}
    (rule,) = cloudflare.state.rules.values()
    assert rule["actions"] == [{"type": "forward", "value": [ADMIN]}]
    assert_in_line(cli)


def test_an_address_that_this_account_has_confirmed_is_used_at_once(
    forwarding: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cloudflare.state.add_destination(ADMIN.upper())
    cloudflare.state.confirm(ADMIN)
    apply(cli)
    assert cloudflare.state.rules and len(cloudflare.state.destinations) == 1
    assert_in_line(cli)


def test_an_address_that_left_the_file_stays_since_others_may_use_it(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cloudflare.state.add_destination("other@elsewhere.example")
    apply(cli, "--prune")
    assert set(cloudflare.state.destinations) == {ADMIN, "other@elsewhere.example"}


REFUSED = {
    "a forward to an address that nobody asks": (
        lambda edge: edge["email_routing"]["rules"].append({**SALES, "forward": "x@example.net"}),
        "email_routing.rules[0].forward",
        "add it there",
    ),
    "alarms to an address that nobody asks": (
        lambda edge: edge["worker"]["alarms"].update(to="x@example.net"),
        "worker.alarms.to",
        "add it there",
    ),
    "alarms into the server that they are about": (
        lambda edge: (
            edge["worker"]["alarms"].update(to="admin@example.com"),
            edge["email_routing"]["destinations"].append("admin@example.com"),
        ),
        "worker.alarms.to",
        "an address elsewhere that somebody reads",
    ),
    "alarms in another domain's name": (
        lambda edge: edge["worker"]["alarms"].update({"from": "alarm@example.net"}),
        "worker.alarms.from",
        "alarm@example.com",
    ),
    "a sixth cron trigger": (
        lambda edge: edge["worker"].update(crons=[f"{minute} * * * *" for minute in range(6)]),
        "worker.crons",
        "",
    ),
    "a bucket's name that R2 refuses": (
        lambda edge: edge["worker"].update(spool={"bucket": "Shop_Mail", "days": 14}),
        "worker.spool.bucket",
        "3 to 63 lower-case letters, digits and dashes",
    ),
}


@pytest.mark.parametrize(("change", "place", "fix"), REFUSED.values(), ids=list(REFUSED))
def test_the_file_is_refused_before_cloudflare_is_asked(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, change, place: str, fix: str
) -> None:
    change(edge_repo.edge)
    edge_repo.save()
    (problem,) = document(cli, "plan")["problems"]
    assert problem["field"] == f"edge/edge.yml: {place}" and fix in problem["fix"]
    assert cloudflare.calls == []


def test_a_file_of_before_asks_for_no_further_permission(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    """Its owner adds the new lines, and the permissions with them, when they want to."""
    del edge_repo.edge["email_routing"]["destinations"]
    del edge_repo.edge["worker"]["alarms"], edge_repo.edge["worker"]["crons"]
    edge_repo.save()
    cloudflare.scopes -= {"addresses", "namespaces", "storage"}
    apply(cli)
    assert_in_line(cli)


def _bindings(cloudflare: FakeCloudflare) -> dict[str, dict]:
    found = cloudflare.state.scripts["shop-mail-mail"]["metadata"]["bindings"]
    return {b["name"]: {k: v for k, v in b.items() if k not in ("name", "type")} for b in found}
