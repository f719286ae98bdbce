"""`mailctl edge plan` and `apply` against a Cloudflare that remembers."""

import base64
import json
import re
import stat

import pytest
from conftest import Cli
from edge_repo import OTHER_RECORD, RECORD, EdgeRepo, apply, assert_in_line, document, record, set_up
from fake_cloudflare import FakeCloudflare
from fake_dns import FakeDns

from mailctl.edge.dns_view import View

# So that the test of failing calls is known to try them.
KINDS_AT_LEAST = 12
# How a call fails, and which of the changes: one of each kind, or a sample where the SDK's own retry goes on.
WAYS_TO_FAIL = {"refused": 1, "lost": 1, "500": 6, "429": 6, "down": 6}


def test_a_plan_changes_nothing_and_says_with_2_that_there_is_something_to_do(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    assert cli("edge", "plan").exit_code == 2
    assert cloudflare.writes == []


def test_from_an_empty_zone_to_done_and_then_nothing_to_do(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    apply(cli, "--json")
    assert_in_line(cli)
    state = cloudflare.state
    assert state.routing and state.catch_all["enabled"]
    assert state.catch_all["actions"] == [{"type": "worker", "value": ["shop-mail-mail"]}]
    tunnel = next(iter(state.tunnels))
    assert record(cloudflare, "CNAME", "mail.example.com")["content"] == f"{tunnel}.cfargotunnel.com"
    assert state.tunnels[tunnel]["config"]["ingress"][-1] == {"service": "http_status:404"}
    spf = record(cloudflare, "TXT", "example.com")["content"]
    assert spf == '"v=spf1 include:_spf.mx.cloudflare.net include:sendgrid.net ~all"'
    dkim = record(cloudflare, "TXT", "s1._domainkey.example.com")["content"]
    assert dkim.replace('"', "").replace(" p=", "p=").replace(" ", "") == RECORD.replace(" ", "")


def test_apply_does_exactly_the_changes_of_the_plan(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    planned = document(cli, "plan")
    done = document(cli, "apply", "--plan", planned["plan"])
    assert done["done"] == planned["changes"]


def test_a_plan_that_is_another_one_by_now_is_not_done(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    planned = document(cli, "plan")["plan"]
    edge_repo.edge["dns"][1]["content"] = "v=DMARC1; p=reject; rua=mailto:admin@example.com"
    edge_repo.save()
    assert cli("edge", "apply", "--plan", planned).exit_code == 1
    assert cloudflare.writes == []


def test_without_a_terminal_and_without_a_plan_nothing_is_done(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    assert cli("edge", "apply").exit_code == 2
    assert cloudflare.writes == []


def test_the_log_in_page_is_guarded_before_it_can_be_reached_and_mail_is_carried_before_it_comes(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    done = [f"{change['kind']} {change['name']}" for change in document(cli, "apply", "--yes")["done"]]
    order = [
        "Access application admin.example.com",
        "tunnel ingress shop-mail",
        "DNS record CNAME admin.example.com",
        "Worker shop-mail-mail",
        "catch-all catch-all",
        "Email Routing example.com",
    ]
    assert [step for step in done if step in order] == order


@pytest.mark.parametrize("team", ["example-com", "one-that-was-there"])
def test_the_guarded_host_alone_asks_for_a_token_of_its_application_and_of_the_real_team(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, team: str
) -> None:
    """The file's team is made only in an account that has none. The API and webmail need no token."""
    if team != edge_repo.edge["access"]["team"]:
        cloudflare.state.team = {"name": "Ours", "auth_domain": f"{team}.cloudflareaccess.com"}
    assert "admin.example.com → http://nginx:80, only with a token of Access\n" in cli("edge", "plan").stdout
    apply(cli)
    (application,) = cloudflare.state.applications.values()
    access = {"required": True, "teamName": team, "audTag": [application["aud"]]}
    asked = [row["hostname"] for row in _ingress(cloudflare.state) if "originRequest" in row]
    assert (asked, _guard(cloudflare.state)) == (["admin.example.com"], access)


def test_an_access_that_mails_its_codes_only_into_this_server_is_refused(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    """Nobody could read the code for the administration, in which the first mailbox is made."""
    (application,) = edge_repo.edge["access"]["applications"]
    application["emails"] = ["admin@example.com", "Second@Example.com"]
    edge_repo.save()
    refused = cli("edge", "plan")
    said = " ".join(refused.stderr.split())
    assert refused.exit_code == 1 and "access.applications[0].emails" in said
    assert "add an address elsewhere that somebody reads" in said
    assert cli("edge", "apply", "--yes").exit_code == 1 and cloudflare.writes == []


def test_the_tunnels_token_lands_in_the_secrets_folder_only(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    said = cli("edge", "plan").output + apply(cli)
    token = edge_repo.secret("cloudflared_token")
    assert json.loads(base64.b64decode(token))["t"] == next(iter(cloudflare.state.tunnels))
    path = edge_repo.root / "secrets/cloudflared_token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert token not in said


def test_no_secret_is_in_any_output_not_even_when_cloudflare_repeats_it(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    said = cli("edge", "plan", "--json").output
    cloudflare.fail(1, "refused")  # its message holds the token
    said += cli("edge", "plan").output
    said += apply(cli)
    edge_repo.set_secret("mailserver_api_tokens", "n" * 43 + "\n")
    said += cli("edge", "plan").output + apply(cli) + cli("edge", "plan", "--json").output
    for secret in (cloudflare.token, edge_repo.secret("cloudflared_token"), "n" * 43):
        assert secret not in said


def test_a_second_token_line_goes_to_the_worker_and_removing_the_first_changes_nothing(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    apply(cli)
    old = edge_repo.secret("mailserver_api_tokens")
    edge_repo.set_secret("mailserver_api_tokens", f"{old}\n{'n' * 43}\n")
    assert [change["kind"] for change in document(cli, "plan")["changes"]] == ["Worker"]
    apply(cli)
    bindings = cloudflare.state.scripts["shop-mail-mail"]["metadata"]["bindings"]
    assert {"type": "secret_text", "name": "API_TOKEN", "text": "n" * 43} in bindings
    edge_repo.set_secret("mailserver_api_tokens", f"{'n' * 43}\n")
    assert_in_line(cli)


DRIFT = {
    "a record changed": lambda s: _edit(s, "_dmarc.example.com", content='"v=DMARC1; p=none"'),
    "a record deleted": lambda s: _delete(s, "_dmarc.example.com"),
    "a proxied name made plain": lambda s: _edit(s, "admin.example.com", proxied=False),
    "a second address beside the tunnel's": lambda s: _edit(
        s, "mail.example.com", type="A", content="192.0.2.7"
    ),
    "the DKIM record of another key": lambda s: _edit(s, "s1._domainkey.example.com", content=OTHER_RECORD),
    "SPF opened": lambda s: _edit(s, "example.com", kind="TXT", content='"v=spf1 +all"'),
    "an MX record deleted": lambda s: _delete(s, "example.com", kind="MX"),
    "Email Routing switched off": lambda s: setattr(s, "routing", False),
    "the catch-all dropped": lambda s: s.catch_all.update(actions=[{"type": "drop"}]),
    "the catch-all disabled": lambda s: s.catch_all.update(enabled=False),
    "the code edited": lambda s: s.scripts["shop-mail-mail"].update(code=b"export default {}"),
    "the code with an addition": lambda s: _append(s),
    "a variable edited": lambda s: _binding(s, "API_URL").update(text="https://elsewhere.example"),
    "the secret removed": lambda s: _bindings(s).remove(_binding(s, "API_TOKEN")),
    "a binding removed": lambda s: _bindings(s).remove(_binding(s, "STATE")),
    "a binding added": lambda s: _bindings(s).append({"type": "ai", "name": "AI"}),
    "alarms to anybody": lambda s: _binding(s, "ALARM").pop("destination_address"),
    "alarms to another": lambda s: _binding(s, "ALARM_TO").update(text="m@example.net"),
    "the log switched off": lambda s: s.scripts["shop-mail-mail"]["metadata"].update(observability=None),
    "the schedule removed": lambda s: s.scripts["shop-mail-mail"].update(crons=[]),
    "the spool kept for a day": lambda s: _deletion(s)["condition"].update(maxAge=86400),
    "the spool kept for ever": lambda s: s.buckets["shop-mail-spool"]["rules"].pop(),
    "one more rule that empties the spool": lambda s: s.buckets["shop-mail-spool"]["rules"].append(
        {**s.buckets["shop-mail-spool"]["rules"][-1], "id": "theirs"}
    ),
    "an address on workers.dev": lambda s: s.scripts["shop-mail-mail"].update(workers_dev=True),
    "another service behind a host name": lambda s: _ingress(s)[0].update(service="http://usermgmt:8080"),
    "one more host name": lambda s: _ingress(s).insert(
        0, {"hostname": "x.example.com", "service": "http://mariadb:3306"}
    ),
    "the tunnel's guard removed": lambda s: _ingress(s)[1].pop("originRequest"),
    "the tunnel's guard switched off": lambda s: _guard(s).update(required=False),
    "tokens of another application let in": lambda s: _guard(s)["audTag"].append("a" * 64),
    "one more address let in": lambda s: _policy(s)["include"].append({"email": {"email": "m@example.net"}}),
    "everybody let in": lambda s: _policy(s).update(include=[{"everyone": {}}]),
    "a bypass": lambda s: _policy(s).update(decision="bypass"),
    "the guard removed": lambda s: s.applications.clear(),
}


@pytest.mark.parametrize("drift", DRIFT.values(), ids=list(DRIFT))
def test_drift_by_hand_is_found_and_put_right(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, drift
) -> None:
    set_up(edge_repo, cloudflare, cli)
    before = cloudflare.state.public()
    drift(cloudflare.state)
    assert document(cli, "apply", "--yes")["done"]
    assert_in_line(cli)
    after = cloudflare.state.public()
    assert {key: after[key] for key in after if key != "records"} == {
        key: before[key] for key in before if key != "records"
    }
    assert {(r[0], r[1], r[2]) for r in after["records"]} == {(r[0], r[1], r[2]) for r in before["records"]}


def test_a_lost_tunnel_token_is_fetched_again_though_the_tunnel_is_not_guarded_as_it_should_be(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    apply(cli)
    before = edge_repo.secret("cloudflared_token")
    edge_repo.set_secret("cloudflared_token", "")
    _ingress(cloudflare.state)[1].pop("originRequest")
    apply(cli)
    assert edge_repo.secret("cloudflared_token") == before


@pytest.mark.parametrize("how", WAYS_TO_FAIL)
def test_whichever_call_fails_the_next_run_ends_right(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, how: str
) -> None:
    """The first change of each kind that a first apply makes; a call that reads leaves nothing half done."""
    template = cloudflare.state
    apply(cli)
    kinds: dict[tuple[str, str], int] = {}
    for number, (method, path) in enumerate(cloudflare.calls):
        if method != "GET":
            kinds.setdefault((method, re.sub(r"/[0-9a-f-]{32,}", "", path)), number)
    wanted = template.public()
    assert len(kinds) >= KINDS_AT_LEAST
    for number in list(kinds.values())[:: WAYS_TO_FAIL[how]]:
        cloudflare.state = type(template)("example.com")
        edge_repo.set_secret("cloudflared_token", "")
        cloudflare.fail(number, how)
        first = cli("edge", "apply", "--yes")
        cloudflare.faults.clear()
        assert first.exit_code in (0, 1), first.output
        if first.exit_code:
            assert "next" in first.output or "fix" in first.output
            apply(cli)
        assert cloudflare.state.public() == wanted, f"call {number}"
        held = json.loads(base64.b64decode(edge_repo.secret("cloudflared_token")))["t"]
        assert held == next(iter(cloudflare.state.tunnels)), f"call {number}"
    assert_in_line(cli)


def test_a_call_that_fails_says_what_was_done_what_failed_and_what_is_left(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cli("edge", "plan")
    cloudflare.fail(len(cloudflare.calls) + 3, "refused")
    result = cli("edge", "apply", "--yes")
    assert result.exit_code == 1
    words = [line.split()[0] for line in result.stderr.splitlines() if line.split()]
    assert {"done", "failed", "not"} <= set(words)
    assert "make edge-apply (it goes on from here)" in " ".join(result.stderr.split())


def _edit(state, name: str, kind: str | None = None, **fields) -> None:
    found = next(r for r in state.records.values() if r["name"] == name and kind in (None, r["type"]))
    found.update(fields)


def _delete(state, name: str, kind: str | None = None) -> None:
    found = next(r for r in state.records.values() if r["name"] == name and kind in (None, r["type"]))
    del state.records[found["id"]]


def _append(state) -> None:
    state.scripts["shop-mail-mail"]["code"] += b"// more"


def _bindings(state) -> list:
    return state.scripts["shop-mail-mail"]["metadata"]["bindings"]


def _binding(state, name: str) -> dict:
    return next(binding for binding in _bindings(state) if binding["name"] == name)


def _deletion(state) -> dict:
    return state.buckets["shop-mail-spool"]["rules"][-1]["deleteObjectsTransition"]


def _ingress(state) -> list:
    return next(iter(state.tunnels.values()))["config"]["ingress"]


def _guard(state) -> dict:
    return _ingress(state)[1]["originRequest"]["access"]


def _policy(state) -> dict:
    return next(iter(state.applications.values()))["policies"][0]


def test_a_program_passes_the_guard_by_its_service_token(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    token = "3c9cf5a8-04d4-4f0b-93f9-2ba1dd0ba6d5"  # noqa: S105 - the id of one
    edge_repo.edge["access"]["applications"][0]["service_tokens"] = [token]
    edge_repo.save()
    apply(cli)
    (application,) = cloudflare.state.applications.values()
    people, programs = application["policies"]
    assert people["decision"] == "allow" and programs["decision"] == "non_identity"
    assert programs["include"] == [{"service_token": {"token_id": token}}]
    assert_in_line(cli)


def test_records_of_services_are_made_and_changed_in_place(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    name = "_imaps._tcp.example.com"
    for port in (993, 1993):
        edge_repo.edge["dns"] = [r for r in edge_repo.edge["dns"] if r["type"] != "SRV"]
        edge_repo.edge["dns"].append({"type": "SRV", "name": name, "content": f"0 1 {port} imap.example.com"})
        edge_repo.save()
        apply(cli)
        parts = {"priority": 0, "weight": 1, "port": port, "target": "imap.example.com"}
        assert record(cloudflare, "SRV", name)["data"] == parts
        with FakeDns(cloudflare.state) as dns:
            assert View(dns.address).ask(name, "SRV") == [f"0 1 {port} imap.example.com"]
        assert_in_line(cli)
    edge_repo.edge["dns"][-1]["content"] = "993 imap.example.com"
    edge_repo.save()
    assert "0 1 993 imap.example.com" in " ".join(cli("edge", "plan").stderr.split())
