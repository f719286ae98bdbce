"""`mailctl domain dns`: what usermgmt names and rspamd signs with, looked up in DNS, and left in usermgmt."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from conftest import Cli
from edge_repo import OTHER_RECORD, RECORD, EdgeRepo
from fake_cloudflare import FakeCloudflare
from fake_dns import FakeDns
from fakes import FakeEngine, container

SPF = "v=spf1 include:_spf.mx.cloudflare.net include:sendgrid.net ~all"
ROUTES = [f"route{number}.mx.cloudflare.net" for number in (1, 2, 3)]
KEY = "s1._domainkey.example.com"


def needed(kind: str, name: str, content: str, state: str = "") -> dict[str, Any]:
    return {"type": kind, "name": name, "content": content, "state": state, "found": []}


NEEDED = [needed("MX", "example.com", route) for route in ROUTES] + [needed("TXT", "example.com", SPF)]


class Usermgmt:
    """Two domains of which one is disabled, in the container that the fake docker stands for."""

    def __init__(self, edge_repo: EdgeRepo) -> None:
        self.docker = edge_repo.docker
        rows = [{"id": 3, "name": "example.com", "active": True}, {"id": 4, "name": "b.net", "active": False}]
        for path, found in (("/domains?limit=500", rows), ("/domains?q=b.net&exact=true", rows[1:])):
            self.answer(path, {"items": found, "next": None})
        self.names(NEEDED)

    def answer(self, path: str, body: Any) -> None:
        self.docker.answer(path, json.dumps({"status": 200, "body": body}))

    def names(self, records: list[dict[str, Any]] | None, managed: bool = True) -> None:
        for number in (3, 4):
            body = {"managed": managed, "checked_at": None, "records": records}
            self.answer(f"/domains/{number}/dns", body)

    def kept(self) -> list[dict[str, Any]]:
        """The records that it was given last."""
        last = self.docker.calls_with("PUT")[-1]
        return json.loads(last["stdin"])["records"]


@pytest.fixture
def usermgmt(edge_repo: EdgeRepo, engine: FakeEngine) -> Usermgmt:
    engine.containers = [container("usermgmt"), container("rspamd")]
    return Usermgmt(edge_repo)


@pytest.fixture
def dns(edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli) -> Iterator[FakeDns]:
    """The zone with all that edge/edge.yml asks for."""
    assert cli("edge", "apply", "--yes").exit_code == 0
    with FakeDns(cloudflare.state) as server:
        yield server


def look(cli: Cli, dns: FakeDns, *words: str) -> dict[str, Any]:
    result = cli("domain", "dns", *words, "--json", "--resolver", dns.address)
    document = json.loads(result.stdout)
    assert result.exit_code == (0 if document["ok"] else 1)
    return document


def states(document: dict[str, Any]) -> dict[str, str]:
    """What is not ok in the first domain, by name."""
    records = document["domains"][0]["records"]
    return {each["name"]: each["state"] for each in records if each["state"] != "ok"}


def test_what_is_in_dns_is_ok_with_the_key_and_is_left_in_usermgmt(
    usermgmt: Usermgmt, dns: FakeDns, cli: Cli
) -> None:
    document = look(cli, dns)
    assert document["ok"] and [each["domain"] for each in document["domains"]] == ["example.com"]
    records = document["domains"][0]["records"]
    assert [(each["name"], each["content"]) for each in records[-2:]] == [("example.com", SPF), (KEY, RECORD)]
    assert usermgmt.kept() == records and usermgmt.docker.calls_with("PUT")[-1]["arguments"][-2:] == [
        "/domains/3/dns",
        "--body-stdin",
    ]


def test_missing_different_and_unasked_are_three_things(usermgmt: Usermgmt, dns: FakeDns, cli: Cli) -> None:
    usermgmt.names([*NEEDED, needed("TXT", "_dmarc.example.com", "v=DMARC1; p=none")])
    dns.hidden.add(KEY)
    dns.failing.add("example.com")
    assert states(look(cli, dns)) == {
        "example.com": "unasked",
        "_dmarc.example.com": "differs",
        KEY: "missing",
    }
    said = " ".join(cli("domain", "dns", "--resolver", dns.address).stdout.split())
    assert "DNS could not be asked: try again" in said and "DNS says: v=DMARC1; p=quarantine" in said


def test_a_key_that_is_not_the_one_that_signs_is_different(
    usermgmt: Usermgmt, edge_repo: EdgeRepo, dns: FakeDns, cli: Cli
) -> None:
    edge_repo.keys({"s1": OTHER_RECORD}, "s1")
    assert states(look(cli, dns)) == {KEY: "differs"}


def test_a_mail_server_beside_ours_is_different_and_a_text_for_another_purpose_is_not(
    usermgmt: Usermgmt, dns: FakeDns, cli: Cli
) -> None:
    dns.extra["TXT", "example.com"] = ['"some-site-verification=1"']
    assert states(look(cli, dns)) == {}
    dns.extra["MX", "example.com"] = ["1 mx.example.net."]
    assert states(look(cli, dns)) == {"example.com": "differs"}


def test_a_cname_in_the_place_of_a_key_is_shown_with_what_to_do(
    usermgmt: Usermgmt, cloudflare: FakeCloudflare, dns: FakeDns, cli: Cli
) -> None:
    cloudflare.state.add_record(type="CNAME", name=KEY, content="s1.domainkey.u1.wl1.sendgrid.net")
    assert states(look(cli, dns)) == {KEY: "differs"}
    assert usermgmt.kept()[-1]["found"] == ["CNAME s1.domainkey.u1.wl1.sendgrid.net"]
    said = " ".join(cli("domain", "dns", "--resolver", dns.address).stdout.split())
    assert "make edge-plan" in said
    usermgmt.names(NEEDED, managed=False)
    said = " ".join(cli("domain", "dns", "--resolver", dns.address).stdout.split())
    assert "sh /etc/rspamd/bin/dkim-key example.com mailctl1" in said


def test_an_address_may_be_the_proxy_s_and_other_authorities_may_issue_certificates_too(
    usermgmt: Usermgmt, dns: FakeDns, cli: Cli
) -> None:
    dns.extra["A", "old.example.com"] = ["192.0.2.7"]
    dns.extra["CAA", "old.example.com"] = ['0 issue "ca.example"', '0 issue "other.example"']
    old = "old.example.com"
    usermgmt.names([needed("A", old, "203.0.113.1"), needed("CAA", old, "0 issue ca.example")])
    assert look(cli, dns)["ok"]
    usermgmt.names([needed("CAA", old, "0 issue third.example")])
    assert states(look(cli, dns)) == {old: "missing"}


def test_what_a_stranger_wrote_does_not_command_the_terminal(
    usermgmt: Usermgmt, dns: FakeDns, cli: Cli
) -> None:
    dns.extra["TXT", "example.com"] = ['"v=spf1 \\027[2J"']
    look(cli, dns)
    assert "v=spf1 \N{REPLACEMENT CHARACTER}[2J" in usermgmt.kept()[-2]["found"]


def test_a_domain_without_a_key_is_told_how_to_make_one_and_its_own_dns(
    usermgmt: Usermgmt, edge_repo: EdgeRepo, dns: FakeDns, cli: Cli
) -> None:
    edge_repo.keys({}, "")
    usermgmt.names([needed("MX", "b.net", ROUTES[0])], managed=False)
    assert states(look(cli, dns, "b.net")) == {"b.net": "missing", "SELECTOR._domainkey.b.net": "no_key"}
    said = cli("domain", "dns", "b.net", "--resolver", dns.address).stdout
    assert "dkim-key b.net" in said and "enter it where the DNS of b.net is kept" in said


def test_every_night_only_news_is_a_failure(usermgmt: Usermgmt, dns: FakeDns, cli: Cli) -> None:
    dns.hidden.add(KEY)
    changed = ("domain", "dns", "--changed", "--resolver", dns.address)
    for before, code in (("", 1), ("ok", 1), ("unasked", 1), ("missing", 0)):
        usermgmt.names([*NEEDED, needed("TXT", KEY, RECORD, before)])
        assert cli(*changed).exit_code == code, before


def test_without_the_file_of_the_edge_nothing_is_looked_up(
    usermgmt: Usermgmt, dns: FakeDns, cli: Cli
) -> None:
    usermgmt.names(None)
    result = cli("domain", "dns", "--resolver", dns.address)
    assert result.exit_code == 1 and "usermgmt cannot read it" in " ".join(result.stderr.split())
    assert not usermgmt.docker.calls_with("PUT")


def test_keys_of_access_are_handed_in_where_the_edge_asks_for_them(
    usermgmt: Usermgmt, edge_repo: EdgeRepo, dns: FakeDns, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    keys, status = {"keys": [{"kid": "first", "kty": "RSA", "n": "AQAB", "e": "AQAB"}]}, 200

    def get(url: str, **_: Any) -> httpx.Response:
        asked.append(url)
        return httpx.Response(status, json=keys, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    look(cli, dns)
    assert asked == [] and not usermgmt.docker.calls_with("identity-keys")
    edge_repo.edge["access"]["applications"][0]["audience"] = "a" * 64
    edge_repo.save()
    look(cli, dns)
    issuer = f"https://{edge_repo.edge['access']['team']}.cloudflareaccess.com"
    (call,) = usermgmt.docker.calls_with("identity-keys")
    assert asked == [f"{issuer}/cdn-cgi/access/certs"]
    assert call["arguments"][-2:] == [issuer, "--keys-stdin"] and json.loads(call["stdin"]) == keys
    status = 404
    said = cli("domain", "dns", "--changed", "--resolver", dns.address)
    assert said.exit_code == 1 and "is access.team of edge/edge.yml the team" in " ".join(said.output.split())
    assert len(usermgmt.docker.calls_with("identity-keys")) == 1, "what usermgmt has stays"
