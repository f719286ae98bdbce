"""`mailctl dkim`: a new key without a gap, and a rotation that may be killed at any step."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Cli
from edge_repo import EdgeRepo
from fake_cloudflare import FakeCloudflare
from fake_dns import FakeDns
from fake_rspamd import FakeRspamd

LONG_AGO = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def first() -> str:
    """The selector of the key that is there at first; empty for what a new host takes."""
    return ""


@pytest.fixture
def rspamd(tmp_path: Path, edge_repo: EdgeRepo, monkeypatch: pytest.MonkeyPatch, first: str) -> FakeRspamd:
    fake = FakeRspamd(tmp_path / "rspamd", first)
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    return fake


@pytest.fixture
def dns(rspamd: FakeRspamd, cloudflare: FakeCloudflare, cli: Cli) -> Iterator[FakeDns]:
    """The edge applied, and its zone in DNS."""
    assert cli("edge", "apply", "--yes").exit_code == 0
    with FakeDns(cloudflare.state) as server:
        yield server


def status(cli: Cli, dns: FakeDns) -> dict:
    return json.loads(cli("dkim", "status", "--json", "--resolver", dns.address).stdout)


def signing(cli: Cli, dns: FakeDns) -> str:
    """The selector that signs, which DNS must have at every moment."""
    signs = [key for key in status(cli, dns)["keys"] if key["signs"]]
    assert len(signs) == 1 and signs[0]["published"], signs
    return signs[0]["selector"]


def rotate(cli: Cli, dns: FakeDns, *options: str):
    return cli("dkim", "rotate", "--resolver", dns.address, *options)


def week_passes(edge_repo: EdgeRepo) -> None:
    path = edge_repo.root / "secrets/dkim_rotation.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"since": LONG_AGO}))


def test_a_new_key_is_used_once_dns_has_it_and_the_old_one_stays(
    edge_repo: EdgeRepo, dns: FakeDns, cli: Cli
) -> None:
    assert rotate(cli, dns, "--json").exit_code == 0
    keys = status(cli, dns)["keys"]
    assert [(k["selector"], k["signs"], k["published"]) for k in keys] == [
        ("mailctl1", False, True),
        ("mailctl2", True, True),
    ]
    assert cli("edge", "plan", "--prune").exit_code == 0


def test_a_key_that_dns_does_not_have_yet_signs_nothing(edge_repo: EdgeRepo, dns: FakeDns, cli: Cli) -> None:
    dns.hidden.add("mailctl2._domainkey.example.com")
    refused = rotate(cli, dns, "--wait", "0")
    assert refused.exit_code == 1 and "not seen" in " ".join(refused.stderr.split())
    assert signing(cli, dns) == "mailctl1"
    dns.hidden.clear()
    assert rotate(cli, dns).exit_code == 0
    assert signing(cli, dns) == "mailctl2"


def test_before_a_week_has_passed_another_run_changes_nothing(
    edge_repo: EdgeRepo, dns: FakeDns, cli: Cli, cloudflare: FakeCloudflare
) -> None:
    rotate(cli, dns)
    writes = list(cloudflare.writes)
    result = rotate(cli, dns)
    assert result.exit_code == 0 and "stays for mail on its way" in result.stdout
    assert cloudflare.writes == writes
    assert len(status(cli, dns)["keys"]) == 2


def test_after_a_week_the_old_key_and_its_record_go(
    edge_repo: EdgeRepo, dns: FakeDns, cli: Cli, cloudflare: FakeCloudflare
) -> None:
    rotate(cli, dns)
    week_passes(edge_repo)
    assert rotate(cli, dns).exit_code == 0
    assert [key["selector"] for key in status(cli, dns)["keys"]] == ["mailctl2"]
    assert not any(r["name"].startswith("mailctl1._domainkey") for r in cloudflare.state.records.values())
    assert cli("edge", "plan", "--prune").exit_code == 0
    assert rotate(cli, dns).exit_code == 0
    assert signing(cli, dns) == "mailctl3"


# An earlier version named its keys s1, s2, …; SendGrid's domain authentication wants CNAMEs at s1 and s2:
# https://www.twilio.com/docs/sendgrid/ui/account-and-settings/how-to-set-up-domain-authentication
EARLIER = pytest.mark.parametrize("first", ["s1"])


def authenticated(cloudflare: FakeCloudflare) -> list[dict]:
    """SendGrid's CNAMEs, as somebody enters them in the dashboard."""
    names = [(f"s{n}._domainkey.example.com", f"s{n}.domainkey.u1.wl1.sendgrid.net") for n in (1, 2)]
    return [cloudflare.state.add_record(type="CNAME", name=name, content=to) for name, to in names]


@EARLIER
def test_a_host_that_signs_with_s1_goes_on_until_the_rotation_moves_it_without_a_gap(
    edge_repo: EdgeRepo, dns: FakeDns, cli: Cli, cloudflare: FakeCloudflare, rspamd: FakeRspamd
) -> None:
    rspamd.run("dkim-key", "example.com")  # as every start of the container does
    assert signing(cli, dns) == "s1"
    dns.hidden.add("mailctl1._domainkey.example.com")
    assert rotate(cli, dns, "--wait", "0").exit_code == 1 and signing(cli, dns) == "s1"
    dns.hidden.clear()
    assert rotate(cli, dns).exit_code == 0 and signing(cli, dns) == "mailctl1"
    assert [(k["selector"], k["published"]) for k in status(cli, dns)["keys"]] == [
        ("mailctl1", True),
        ("s1", True),
    ]
    week_passes(edge_repo)
    assert rotate(cli, dns).exit_code == 0
    assert [key["selector"] for key in status(cli, dns)["keys"]] == ["mailctl1"]
    assert not any(r["name"].startswith("s1._domainkey") for r in cloudflare.state.records.values())
    assert cli("edge", "plan", "--prune").exit_code == 0


@EARLIER
def test_a_key_whose_name_a_relay_has_taken_is_replaced_at_once_and_the_relay_keeps_the_name(
    edge_repo: EdgeRepo, dns: FakeDns, cli: Cli, cloudflare: FakeCloudflare
) -> None:
    theirs = authenticated(cloudflare)
    refused = " ".join(cli("edge", "apply", "--yes").stderr.split())
    assert "s1._domainkey.example.com" in refused and "make dkim-rotate" in refused
    assert rotate(cli, dns).exit_code == 0
    assert signing(cli, dns) == "mailctl1"
    assert [key["selector"] for key in status(cli, dns)["keys"]] == ["mailctl1"]
    assert all(cloudflare.state.records[record["id"]] == record for record in theirs)
    assert cli("edge", "plan", "--prune").exit_code == 0


@EARLIER
def test_a_rotation_that_waits_for_a_name_of_a_relay_s_begins_again_with_one_of_our_own(
    edge_repo: EdgeRepo, dns: FakeDns, cli: Cli, cloudflare: FakeCloudflare, rspamd: FakeRspamd
) -> None:
    rspamd.run("dkim", "make", "example.com", "s2")
    cli("edge", "apply", "--yes")
    state = {"domain": "example.com", "old": "s1", "new": "s2", "step": "published", "since": LONG_AGO}
    (edge_repo.root / "secrets/dkim_rotation.json").write_text(json.dumps(state))
    theirs = authenticated(cloudflare)
    assert rotate(cli, dns).exit_code == 0
    assert [key["selector"] for key in status(cli, dns)["keys"]] == ["mailctl1"]
    left = [r for r in cloudflare.state.records.values() if r["name"].startswith("s")]
    assert left == theirs


def test_the_next_key_gets_a_name_that_nobody_else_has(
    edge_repo: EdgeRepo, dns: FakeDns, cli: Cli, cloudflare: FakeCloudflare
) -> None:
    name = "mailctl2._domainkey.example.com"
    theirs = cloudflare.state.add_record(type="TXT", name=name, content='"v=DKIM1; p=theirs"')
    assert rotate(cli, dns).exit_code == 0
    assert signing(cli, dns) == "mailctl3"
    assert cloudflare.state.records[theirs["id"]] == theirs


# A whole rotation calls the container for these, and Cloudflare to publish and to remove.
KILLS = [(action, when) for action in ("make", "use", "remove") for when in ("before", "after")]


@pytest.mark.parametrize(("action", "when"), KILLS, ids=[f"{when} {action}" for action, when in KILLS])
def test_killed_at_the_container_it_goes_on(
    edge_repo: EdgeRepo, dns: FakeDns, cli: Cli, rspamd: FakeRspamd, action: str, when: str
) -> None:
    if action == "remove":
        rotate(cli, dns)
        week_passes(edge_repo)
    rspamd.kill(action, when)
    assert run_rotate(edge_repo, dns).wait(60) == -signal.SIGKILL
    assert signing(cli, dns) in ("mailctl1", "mailctl2")
    finish(edge_repo, dns, cli)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_killed_at_cloudflare_it_goes_on(
    edge_repo: EdgeRepo, dns: FakeDns, cli: Cli, cloudflare: FakeCloudflare, method: str, when: str
) -> None:
    """POST publishes the new record, DELETE removes the old one."""
    if method == "DELETE":
        rotate(cli, dns)
        week_passes(edge_repo)
    process = run_rotate(edge_repo, dns, hold=True)
    cloudflare.on_write = (method, when, lambda: process.kill())
    process.stdin.write(b"go\n")
    process.stdin.close()
    assert process.wait(60) == -signal.SIGKILL
    cloudflare.on_write = None
    assert signing(cli, dns) in ("mailctl1", "mailctl2")
    finish(edge_repo, dns, cli)


def test_the_keys_of_a_domain_are_not_those_of_one_whose_name_goes_on(rspamd: FakeRspamd) -> None:
    rspamd.run("dkim-key", "example.com.au")
    for domain in ("example.com", "example.com.au"):
        [line] = rspamd.run("dkim", "list", domain).splitlines()
        assert line.split("\t")[:2] == ["mailctl1", "signs"]


def finish(edge_repo: EdgeRepo, dns: FakeDns, cli: Cli) -> None:
    """The runs after a kill end where an undisturbed rotation ends."""
    assert rotate(cli, dns).exit_code == 0
    assert signing(cli, dns) == "mailctl2"
    if status(cli, dns)["rotation"]:
        week_passes(edge_repo)
        assert rotate(cli, dns).exit_code == 0
    assert [key["selector"] for key in status(cli, dns)["keys"]] == ["mailctl2"]
    assert cli("edge", "plan", "--prune").exit_code == 0


def run_rotate(edge_repo: EdgeRepo, dns: FakeDns, hold: bool = False) -> subprocess.Popen:
    """The command as a process of its own; with `hold` it waits for a line on its stdin first."""
    wait = "sys.stdin.readline(); " if hold else ""
    words = ["mailctl", "dkim", "rotate", "--resolver", dns.address]
    code = f"import sys; {wait}sys.argv = {words!r}; from mailctl.cli import main; main()"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    stdin = subprocess.PIPE if hold else subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=edge_repo.root, env=environ, stdin=stdin, stderr=subprocess.DEVNULL
    )
