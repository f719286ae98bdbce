"""The relay in `mailctl preflight`: the log-in is tried as Postfix does it, and nothing is sent."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Cli
from edge_repo import EdgeRepo, apply, document, relay_files
from fake_cloudflare import FakeCloudflare
from fake_relay import FakeRelay
from fakes import FakeDocker, FakeEngine, container

from mailctl.core import relays
from mailctl.core.checklist import Line
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.deploy import relay as checked
from mailctl.secret_files.certificates import service_certificate
from mailctl.secret_files.initialise import initialise
from mailctl.secret_files.rotate.relay import try_key
from tests.places import PLATFORM

KEY = "SG.right.key"
TABLE = yaml.safe_load((PLATFORM / "relays.yml").read_text("utf-8"))
# What SendGrid shows once a domain is set up there.
CNAMES = [
    ("CNAME", "em1234.example.com", "u1234567.wl123.sendgrid.net"),
    ("CNAME", "s1._domainkey.example.com", "s1.domainkey.u1234567.wl123.sendgrid.net"),
    ("CNAME", "s2._domainkey.example.com", "s2.domainkey.u1234567.wl123.sendgrid.net"),
]


@pytest.fixture
def ready(repo: Path, context: Context) -> Path:
    """A repository whose secrets are made, and which says nothing of the edge yet."""
    initialise(context, repo / "secrets")
    (repo / "edge").mkdir()
    (repo / "edge/edge.yml").write_text("dns: []\n")
    (repo / "secrets/relay_password").chmod(0o600)
    (repo / "secrets/relay_password").write_text(KEY)
    return repo


@pytest.fixture(params=[False, True], ids=["STARTTLS", "TLS from the start"])
def server(
    request: pytest.FixtureRequest, ready: Path, engine: FakeEngine, docker: FakeDocker
) -> Iterator[FakeRelay]:
    """SendGrid as this host sees it, at the address that Postfix finds."""
    secrets, key = ready / "secrets", ready / "secrets/dovecot_tls.key"
    pem = service_certificate(
        b"",
        key.read_bytes(),
        (secrets / "internal_ca.crt").read_bytes(),
        (secrets / "internal_ca.key").read_bytes(),
        ["smtp.sendgrid.net"],
    )
    certificate = ready / "relay.crt"
    certificate.write_bytes(pem)
    engine.containers = [container("postfix")]
    docker.answer('getent hosts "$1" || true', "127.0.0.1 smtp.sendgrid.net\n")
    with FakeRelay(certificate, key, request.param) as fake:
        relay_files(ready, port=fake.port, more="smtp_tls_wrappermode = yes\n" if request.param else "")
        yield fake


def lines(context: Context) -> dict[str, Line]:
    return {line.name: line for line in checked.lines(context)}


def test_a_key_that_the_relay_takes_is_ok_and_no_mail_is_begun(server: FakeRelay, context: Context) -> None:
    assert lines(context)["relay"].mark == "ok"
    assert {"AUTH", "QUIT"} <= set(server.commands) <= {"EHLO", "STARTTLS", "AUTH", "QUIT"}


def test_a_withdrawn_key_fails_and_is_not_shown(server: FakeRelay, context: Context, ready: Path) -> None:
    (ready / "secrets/relay_password").write_text("SG.wrong.key")
    line = lines(context)["relay"]
    assert (line.mark, "535 5.7.8" in line.found) == ("failed", True) and line.fix
    assert "SG.wrong" not in line.found and "SG.wrong" not in line.fix


def test_without_a_key_nothing_is_asked(server: FakeRelay, context: Context, ready: Path) -> None:
    (ready / "secrets/relay_password").write_text("")
    line = lines(context)["relay"]
    assert (line.mark, line.found.startswith("not tried")) == ("warning", True)
    assert "SENDGRID_API_KEY" in line.fix and server.commands == []


def test_somebody_else_in_the_relays_place_is_not_told_the_key(
    server: FakeRelay, context: Context, ready: Path
) -> None:
    """The certificate names another host than relayhost does."""
    wrapped = "smtp_tls_wrappermode = yes\n" if server.wrapped else ""
    relay_files(ready, "smtp.eu.sendgrid.net", server.port, wrapped)
    line = lines(context)["relay"]
    assert line.mark == "warning" and "was not tried" in line.found
    assert "AUTH" not in server.commands


def test_a_relay_that_cannot_be_reached_says_nothing_about_the_key(
    ready: Path, context: Context, engine: FakeEngine, docker: FakeDocker
) -> None:
    relay_files(ready)
    engine.containers = [container("postfix")]
    line = lines(context)["relay"]
    assert (line.mark, "no DNS answer for smtp.sendgrid.net" in line.found) == ("warning", True)


@pytest.mark.parametrize(
    ("port", "more", "fix"),
    [
        (465, "", "smtp_tls_wrappermode = yes"),
        (587, "smtp_tls_wrappermode = yes\n", "smtp_tls_wrappermode = no"),
    ],
)
def test_a_port_with_another_kind_of_tls_than_postfix_speaks_is_named(
    ready: Path, context: Context, port: int, more: str, fix: str
) -> None:
    relay_files(ready, port=port, more=more)
    line = lines(context)["relay"]
    assert line.mark == "failed" and line.fix.startswith(fix)


def test_a_rotation_tries_the_new_key_by_the_same_log_in(server: FakeRelay, context: Context) -> None:
    try_key(context, KEY)
    with pytest.raises(Refused, match="535"):
        try_key(context, "SG.wrong.key")


Answers = Callable[..., None]


@pytest.fixture
def api(server: FakeRelay, ready: Path) -> Iterator[Answers]:
    """SendGrid's web API: what it says to each path; anything else is a 403."""
    said: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = said.get(self.path.partition("?")[0])
            right = self.headers["Authorization"] == f"Bearer {KEY}"
            self.send_response(200 if right and answer is not None else 403)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        table = yaml.safe_load((ready / "platform/relays.yml").read_text())
        table["sendgrid"]["api"]["value"] = f"http://127.0.0.1:{http.server_address[1]}"
        (ready / "platform/relays.yml").write_text(yaml.safe_dump(table))
        yield said.update
        http.shutdown()


SCOPES, DOMAINS = "/v3/scopes", "/v3/whitelabel/domains"
ALL = {"scopes": ["mail.send", "whitelabel.read"]}
ACCOUNTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no answer": ({}, "ok", "unknown"),
    "may only send": (
        {SCOPES: {"scopes": ["mail.send"]}},
        "ok",
        "whether the domain is authenticated is unknown",
    ),
    "may not send": ({SCOPES: {"scopes": ["stats.read"]}}, "failed", "lacks mail.send"),
    "verified": (
        {SCOPES: ALL, DOMAINS: [{"domain": "example.com", "valid": True}]},
        "ok",
        "is authenticated",
    ),
    "pending": (
        {SCOPES: ALL, DOMAINS: [{"domain": "example.com", "valid": False}]},
        "warning",
        "is not authenticated",
    ),
    "another domain": (
        {SCOPES: ALL, DOMAINS: [{"domain": "example.net", "valid": True}]},
        "warning",
        "is not",
    ),
}


@pytest.mark.parametrize(("answers", "mark", "found"), ACCOUNTS.values(), ids=list(ACCOUNTS))
def test_the_account_says_what_it_may(
    api: Answers, context: Context, answers: dict[str, Any], mark: str, found: str
) -> None:
    api(answers)
    line = lines(context)["relay account"]
    assert (line.mark, found in line.found) == (mark, True), line
    assert mark == "ok" or line.fix


def test_records_that_nobody_pasted_are_listed_and_those_pasted_are_not(
    ready: Path, context: Context, server: FakeRelay
) -> None:
    name = checked.RECORDS
    assert lines(context)[name].mark == "warning"
    assert "2 CNAME *._domainkey.example.com to *.domainkey.*.sendgrid.net" in lines(context)[name].found
    rows = [dict(zip(("type", "name", "content"), row, strict=True)) for row in CNAMES]
    (ready / "edge/edge.yml").write_text(yaml.safe_dump({"dns": rows}))
    assert lines(context)[name].mark == "ok"


@pytest.mark.parametrize("name", TABLE)
def test_a_host_belongs_to_the_relay_of_the_table(repo: Path, name: str) -> None:
    host = (
        TABLE[name]["host"]["value"].replace("{region}", "eu-central-1").replace("unknown", "smtp.acme.org")
    )
    relay_files(repo, host, next(iter(TABLE[name]["ports"]["value"])))
    found = relays.configured(repo)
    assert (found.name, found.host, found.tls) == (name, host, name == "cloudflare")


def test_a_main_cf_without_a_relay_is_refused(repo: Path) -> None:
    relay_files(repo)
    (repo / relays.MAIN).write_text("# relayhost = [smtp.acme.org]:587\n")
    with pytest.raises(Refused, match="names no relayhost"):
        relays.configured(repo)


def test_the_api_is_that_of_the_hosts_region(repo: Path) -> None:
    relay_files(repo, "smtp.eu.sendgrid.net")
    assert relays.configured(repo).api == "https://api.eu.sendgrid.com"


def by_hand(cli: Cli) -> list[str]:
    """What the plan says is still to be got from the relay."""
    return [note["text"] for note in document(cli, "plan")["notes"] if note["why"] == "by hand"]


def test_the_plan_names_records_of_the_relay_until_they_are_pasted(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    relay_files(edge_repo.root)
    assert by_hand(cli) == [
        "2 CNAME *._domainkey.example.com to *.domainkey.*.sendgrid.net",
        "1 CNAME *.example.com to u*.wl*.sendgrid.net",
    ]
    assert "paste what SendGrid shows below dns:" in cli("edge", "plan").stdout
    edge_repo.edge["dns"] += [{"type": kind, "name": name, "content": to} for kind, name, to in CNAMES]
    edge_repo.save()
    assert by_hand(cli) == []


def test_records_of_the_relay_that_somebody_entered_in_the_dashboard_count(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    relay_files(edge_repo.root)
    for kind, name, to in CNAMES:
        cloudflare.state.add_record(type=kind, name=name, content=to)
    assert by_hand(cli) == []


def test_the_plan_waits_for_the_records_that_cloudflare_makes_itself(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    relay_files(edge_repo.root, "smtp.mx.cloudflare.net", 465, "smtp_tls_wrappermode = yes\n")
    assert len(by_hand(cli)) == 3 and "onboard the domain" in cli("edge", "plan").stdout
    bounce, add = "cf-bounce.example.com", cloudflare.state.add_record
    add(type="MX", name=bounce, content="route1.mx.cloudflare.net", priority=5)
    add(type="TXT", name=bounce, content='"v=spf1 include:_spf.mx.cloudflare.net ~all"')
    add(type="TXT", name="cf-bounce._domainkey.example.com", content='"v=DKIM1; h=sha256; k=rsa; p=MIIB"')
    assert by_hand(cli) == []


def test_records_that_are_missing_do_not_hold_up_the_edge(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    relay_files(edge_repo.root)
    apply(cli)
    assert cli("edge", "plan").exit_code == 0
