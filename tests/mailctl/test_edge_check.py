"""`mailctl edge check`: DNS against the file and the signing key, and a mail through the whole path."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from conftest import Cli
from edge_repo import OTHER_RECORD, EdgeRepo
from fake_cloudflare import FakeCloudflare
from fake_dns import FakeDns

SIGNATURE = "v=1; a=rsa-sha256; d=example.com; s=s1;\r\n\tbh=x; b=y"


class Door(HTTPServer):
    """An API that answers `status` and keeps what was posted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.posted: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Door

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posted.append((self.path, dict(self.headers.items()), body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def dns(edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli) -> Iterator[FakeDns]:
    assert cli("edge", "apply", "--yes").exit_code == 0
    edge_repo.docker.answer("/etc/rspamd/bin/sign", json.dumps({"dkim-signature": SIGNATURE}))
    edge_repo.docker.answer("search", "guid uid\n")
    edge_repo.docker.answer("postmaster@example.com", "anna@example.com,bert@example.com\n")
    with FakeDns(cloudflare.state) as server:
        yield server


def failed(cli: Cli, dns: FakeDns, door: Door, *options: str) -> list[str]:
    result = cli("edge", "check", "--json", "--resolver", dns.address, "--door", door.url, *options)
    found = [row["name"] for row in json.loads(result.stdout)["results"] if not row["ok"]]
    assert result.exit_code == bool(found)
    return found


def test_after_an_apply_all_is_well_and_a_signed_mail_went_through(
    edge_repo: EdgeRepo, dns: FakeDns, door: Door, cli: Cli
) -> None:
    assert failed(cli, dns, door) == []
    path, headers, body = door.posted[0]
    assert path == "/v1/messages"
    assert headers["Authorization"] == f"Bearer {edge_repo.secret('mailserver_api_tokens')}"
    assert headers["X-Envelope-To"] == "anna@example.com", "whoever gets the reports"
    assert body.startswith(f"DKIM-Signature: {SIGNATURE}\r\nFrom: ".encode())
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert edge_repo.docker.calls_with("expunge")


BROKEN = {
    "an MX of somebody else": (
        lambda s: s.add_record(type="MX", name="example.com", content="mx.example.net", priority=1),
        ["MX example.com"],
    ),
    "a published key that is not the one that signs": (
        lambda s: _content(s, "s1._domainkey.example.com", OTHER_RECORD),
        ["DKIM s1._domainkey.example.com"],
    ),
    "another DMARC policy": (
        lambda s: _content(s, "_dmarc.example.com", "v=DMARC1; p=none"),
        ["TXT _dmarc.example.com"],
    ),
    "a host name without a record": (lambda s: _remove(s, "admin.example.com"), ["admin.example.com"]),
}


@pytest.mark.parametrize(("breaks", "names"), BROKEN.values(), ids=list(BROKEN))
def test_what_differs_in_dns_is_named(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, dns: FakeDns, door: Door, cli: Cli, breaks, names
) -> None:
    breaks(cloudflare.state)
    assert failed(cli, dns, door) == names


def test_a_cname_that_no_proxy_answers_for_is_compared_by_its_target_which_may_have_no_address(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, dns: FakeDns, door: Door, cli: Cli
) -> None:
    """Those with which a relay verifies the domain lead to texts."""
    row = {"type": "CNAME", "name": "k1._domainkey.example.com", "content": "k1.relay.example.net"}
    edge_repo.edge["dns"].append(row)
    edge_repo.save()
    assert failed(cli, dns, door) == ["CNAME k1._domainkey.example.com"]
    cloudflare.state.add_record(**row)
    assert failed(cli, dns, door) == []
    _content(cloudflare.state, "k1._domainkey.example.com", "k1.elsewhere.example.net")
    assert failed(cli, dns, door) == ["CNAME k1._domainkey.example.com"]


@pytest.mark.parametrize("name", ["s1._domainkey.example.com", "_dmarc.example.com"])
def test_a_cname_that_hides_our_record_is_named_with_its_target(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, dns: FakeDns, cli: Cli, name: str
) -> None:
    """Cloudflare takes both (in April 2026), and resolvers see the CNAME alone."""
    cloudflare.state.add_record(type="CNAME", name=name, content="sendgrid.net")
    said = " ".join(cli("edge", "check", "--no-mail", "--resolver", dns.address).stdout.split())
    assert "DNS says: CNAME sendgrid.net" in said and "make edge-plan" in said


def test_dns_that_fails_is_not_a_record_that_is_missing(
    edge_repo: EdgeRepo, dns: FakeDns, door: Door, cli: Cli
) -> None:
    dns.failing.add("_dmarc.example.com")
    assert failed(cli, dns, door) == ["TXT _dmarc.example.com"]
    said = cli("edge", "check", "--no-mail", "--resolver", dns.address).stdout
    assert "DNS could not be asked" in said and "try again; --resolver 1.1.1.1" in said


def test_look_ups_inside_includes_count(edge_repo: EdgeRepo, dns: FakeDns, door: Door, cli: Cli) -> None:
    inner = " ".join(f"include:i{number}.example.net" for number in range(9))
    dns.extra["TXT", "sendgrid.net"] = [f'"v=spf1 {inner} ~all"']
    assert failed(cli, dns, door) == ["SPF look-ups"]


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_front_door_that_refuses_fails_the_check(
    edge_repo: EdgeRepo, dns: FakeDns, door: Door, cli: Cli, status: int
) -> None:
    door.status = status
    assert failed(cli, dns, door) == ["test mail"]


def test_a_mail_that_never_arrives_fails_the_check(
    edge_repo: EdgeRepo, dns: FakeDns, door: Door, cli: Cli
) -> None:
    edge_repo.docker.answer("search", "")
    assert failed(cli, dns, door, "--wait", "0") == ["test mail"]


def _content(state, name: str, content: str) -> None:
    next(r for r in state.records.values() if r["name"] == name)["content"] = content


def _remove(state, name: str) -> None:
    record = next(r for r in state.records.values() if r["name"] == name)
    del state.records[record["id"]]


def test_reports_that_nobody_gets_fail_the_check(
    edge_repo: EdgeRepo, dns: FakeDns, door: Door, cli: Cli
) -> None:
    """They go to postmaster@, which is the oldest mailbox once there is one."""
    edge_repo.docker.answer("postmaster@example.com", code=1)
    assert failed(cli, dns, door) == ["test mail"]
    assert door.posted == []
    assert failed(cli, dns, door, "--to", "carol@example.com") == []
