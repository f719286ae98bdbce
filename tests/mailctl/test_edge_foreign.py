"""What is not ours at Cloudflare: it survives, is adopted when named, and only ours is pruned."""

import pytest
from conftest import Cli
from edge_repo import EdgeRepo, apply, assert_in_line, document, record
from fake_cloudflare import FakeCloudflare, Refusal, State, dns
from fake_cloudflare.state import ZONE_ID

TUNNEL = "11111111-2222-4333-8444-555555555555"
FOREIGN_MX = ("refuse", "replace", "keep")


def test_foreign_records_survive_apply_and_prune(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    state = cloudflare.state
    for number in range(130):  # more than a page
        state.add_record(type="A", name=f"host{number}.example.com", content="192.0.2.1")
    state.add_record(type="TXT", name="example.com", content='"google-site-verification=x"')
    state.rules["x"] = {"id": "x", "name": "mine", "enabled": True, **_forward("sales@example.com")}
    foreign = [dict(r) for r in state.records.values()]
    result = cli("edge", "plan")
    assert "host0.example.com" in result.stdout and "more (--json lists them)" in result.stdout
    apply(cli, "--prune")
    assert [r for r in state.records.values() if r["comment"] is None and not r["meta"]] == foreign
    assert "x" in state.rules
    assert_in_line(cli)


CONFLICTS = {
    "an address record": (
        "mail.example.com",
        {"type": "A", "name": "mail.example.com", "content": "192.0.2.1"},
    ),
    "an SPF record": ("example.com", {"type": "TXT", "name": "example.com", "content": '"v=spf1 a -all"'}),
    "a DMARC record": (
        "_dmarc.example.com",
        {"type": "TXT", "name": "_dmarc.example.com", "content": "v=DMARC1; p=none"},
    ),
    "a CNAME where a text belongs": (
        "_dmarc.example.com",
        {"type": "CNAME", "name": "_dmarc.example.com", "content": "dmarc.example.net"},
    ),
}
ELSEWHERE = {"type": "MX", "name": "example.com", "content": "mx.example.net", "priority": 5}


@pytest.mark.parametrize(("name", "fields"), CONFLICTS.values(), ids=list(CONFLICTS))
def test_what_is_in_the_way_is_shown_and_taken_over_only_when_adopted(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, name: str, fields: dict
) -> None:
    cloudflare.state.add_record(**fields)
    refused = cli("edge", "apply", "--yes")
    assert refused.exit_code == 1 and cloudflare.writes == []
    assert f"--adopt {name}" in " ".join(refused.stderr.split())
    apply(cli, "--adopt", name)
    assert_in_line(cli)


def test_mail_that_arrives_elsewhere_stays_there_until_the_switch_and_all_else_is_set_up(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    """SPF, DMARC and MTA-STS for this server would harm what the other one sends and receives."""
    state = cloudflare.state
    state.add_record(**ELSEWHERE)
    state.add_record(type="TXT", name="example.com", content='"v=spf1 include:example.net -all"')
    apply(cli)
    waiting = [note for note in document(cli, "plan")["notes"] if note["why"] == "later"]
    assert "--adopt example.com" in waiting[0]["text"] and cli("edge", "plan").exit_code == 2
    assert state.mx() == {"mx.example.net"} and not state.routing and not state.catch_all["enabled"]
    policies = ("v=DMARC1", "v=STSv1", "v=TLSRPTv1", "cloudflare")
    assert not [r for r in state.records.values() if any(word in r["content"] for word in policies)]
    assert record(cloudflare, "CNAME", "mail.example.com") and state.scripts and state.applications
    apply(cli, "--adopt", "example.com")
    assert_in_line(cli)


def test_mx_that_somebody_adds_beside_ours_stop_the_next_apply(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    apply(cli)
    cloudflare.state.add_record(**ELSEWHERE)
    refused = cli("edge", "apply", "--yes")
    assert refused.exit_code == 1 and "--adopt example.com" in " ".join(refused.stderr.split())


@pytest.mark.parametrize("alone", [True, False], ids=["Cloudflare refuses", "Cloudflare takes it"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("TXT", "v=STSv1; id=1"), {"type": "CNAME", "content": "dmarc.example.net"}),
        (("CNAME", "x.example.net"), {"type": "TXT", "content": '"some-site-verification=1"'}),
        (("CNAME", "x.example.net"), {"type": "MX", "content": "mx.example.net", "priority": 5}),
    ],
    ids=["our text", "our CNAME beside a text", "our CNAME beside MX"],
)
def test_nothing_is_put_beside_a_cname_and_nobody_s_record_is_deleted(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, ours: tuple, theirs: dict, alone: bool
) -> None:
    cloudflare.state.aliases_are_alone = alone
    there = cloudflare.state.add_record(name="x.example.com", **theirs)
    edge_repo.edge["dns"].append({"type": ours[0], "name": "x.example.com", "content": ours[1]})
    edge_repo.save()
    [note] = [note for note in document(cli, "plan")["notes"] if note["why"] == "conflict"]
    what = f"{there['type']} {there['content']}".replace('"', "")
    assert note["name"] == "x.example.com" and what in note["text"]
    assert "DNS allows nothing beside a CNAME" in note["text"]
    assert cli("edge", "apply", "--yes").exit_code == 1 and cloudflare.writes == []
    apply(cli, "--adopt", "x.example.com")
    assert_in_line(cli)


def test_a_cname_that_cloudflare_resolves_itself_may_have_company(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    """At the zone's own name, and where its proxy answers."""
    state = cloudflare.state
    state.add_record(type="CNAME", name="example.com", content="site.example.net")
    state.add_record(type="TXT", name="mail.example.com", content='"some-site-verification=1"')
    state.add_record(type="CNAME", name="_dmarc.example.com", content="site.example.net", proxied=True)
    apply(cli)
    assert_in_line(cli)


def test_a_cname_of_the_file_where_a_key_has_its_record_is_said_and_the_key_s_stays(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    """Those of a relay that somebody pastes into the file."""
    apply(cli)
    name = "s1._domainkey.example.com"
    target = "s1.domainkey.u1.wl1.sendgrid.net"
    edge_repo.edge["dns"].append({"type": "CNAME", "name": name, "content": target})
    edge_repo.save()
    cloudflare.calls.clear()
    for options in ((), ("--adopt", name)):
        refused = " ".join(cli("edge", "apply", "--yes", *options).stderr.split())
        assert name in refused and "make dkim-rotate" in refused and cloudflare.writes == []
    assert record(cloudflare, "TXT", name)


# Each pair at one name: what is there, what is made, and Cloudflare's code. Its page:
# https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/records-with-same-name/
REFUSED = [
    ("A", "CNAME", 81053),
    ("AAAA", "CNAME", 81053),
    ("CNAME", "CNAME", 81053),
    ("CNAME", "A", 81054),
    ("CNAME", "AAAA", 81054),
    ("CNAME", "TXT", 81054),
]


@pytest.mark.parametrize(("there", "new", "code"), REFUSED)
def test_the_fake_refuses_what_cloudflare_refuses_at_one_name(there: str, new: str, code: int) -> None:
    state = State("example.com")
    state.add_record(type=there, name="x.example.com", content="there")
    with pytest.raises(Refusal) as refusal:
        dns.create(state, {"type": new, "name": "x.example.com", "content": "new"})
    assert (refusal.value.status, refusal.value.code) == (400, code)


def test_a_tunnel_of_that_name_that_serves_another_host_is_taken_over_only_when_adopted(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    rows = [{"hostname": "shop.example.com", "service": "http://shop:80"}, {"service": "http_status:404"}]
    tunnel = {"id": TUNNEL, "name": "shop-mail", "secret": "s", "config": {"ingress": rows}}
    cloudflare.state.tunnels[TUNNEL] = tunnel
    assert cli("edge", "apply", "--yes").exit_code == 1 and cloudflare.writes == []
    apply(cli, "--adopt", "shop-mail")
    assert_in_line(cli)


@pytest.mark.parametrize("behaviour", FOREIGN_MX)
def test_no_moment_is_without_mx_however_cloudflare_treats_mx_of_others(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, behaviour: str
) -> None:
    state = cloudflare.state
    state.foreign_mx = behaviour
    for number in (1, 5):
        state.add_record(type="MX", name="example.com", content=f"mx{number}.example.net", priority=number)
    state.mx_seen.clear()
    state.saw_mx()
    apply(cli, "--adopt", "example.com")
    assert all(state.mx_seen), state.mx_seen
    assert state.mx() == set(edge_repo.edge["email_routing"]["mx"])
    assert_in_line(cli)


def test_the_old_mx_come_back_when_routing_cannot_be_switched_on(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    """Routing is refused beside them, and once more after they were exchanged."""
    state = cloudflare.state
    state.add_record(type="MX", name="example.com", content="mx.example.net", priority=5)
    apply(cli, "--adopt", "example.com")
    exchange = cloudflare.calls.index(("POST", f"/zones/{ZONE_ID}/dns_records/batch"))
    cloudflare.state = state = type(state)("example.com")
    edge_repo.set_secret("cloudflared_token", "")
    state.add_record(type="MX", name="example.com", content="mx.example.net", priority=5)
    cloudflare.fail(exchange + 1, "refused")
    assert cli("edge", "apply", "--yes", "--adopt", "example.com").exit_code == 1
    assert all(state.mx_seen[1:]), "a moment without MX"
    assert state.mx() == {"mx.example.net"} and not state.routing
    apply(cli, "--adopt", "example.com")
    assert_in_line(cli)


def test_routing_is_switched_on_by_the_newer_call_where_the_token_may(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cloudflare.state.routing_dns_allowed = True
    apply(cli)
    assert_in_line(cli)
    assert not any(path.endswith(("/enable", "/unlock")) for _, path in cloudflare.calls)


def test_a_catch_all_that_needs_routing_first_is_set_right_after(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cloudflare.state.rules_need_routing = True
    apply(cli)
    assert_in_line(cli)


def test_what_left_the_file_is_deleted_with_prune_only(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    edge_repo.edge["email_routing"]["rules"] = [{"address": "sales@example.com", "drop": True}]
    edge_repo.edge["dns"].append({"type": "TXT", "name": "x.example.com", "content": "hello"})
    edge_repo.save()
    apply(cli)
    edge_repo.edge["email_routing"]["rules"] = []
    edge_repo.edge["dns"].pop()
    edge_repo.edge["tunnel"]["ingress"].pop(0)
    edge_repo.save()
    apply(cli)
    assert record(cloudflare, "TXT", "x.example.com") and cloudflare.state.rules
    whys = {note["why"] for note in document(cli, "plan")["notes"]}
    assert whys == {"unneeded", "foreign", "unconfirmed"}
    apply(cli, "--prune")
    assert not cloudflare.state.rules
    names = {r["name"] for r in cloudflare.state.records.values()}
    assert not names & {"x.example.com", "mail.example.com"}


def _forward(address: str) -> dict:
    matchers = [{"type": "literal", "field": "to", "value": address}]
    return {"matchers": matchers, "actions": [{"type": "forward", "value": ["x@example.net"]}], "priority": 0}
