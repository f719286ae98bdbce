"""The page "Start here", command by command in its order: from a fresh Debian to mail in and out.

Afterwards the commands of other pages run on this host as they are written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import dkim
import dns.resolver
import pytest

from tests.receiver import Receiver
from tests.stack import hosts
from tests.stack.documents import (
    DKIM,
    HOW,
    OF_THE_HOST,
    OF_THE_TARGET,
    OF_THE_WORKFLOWS,
    START,
    blocks,
    tasks,
)
from tests.stack.first_day import HDD, LOOK, RELAY_KEY, SETUP, SLUG, ZONE, Day, fresh, made
from tests.stack.hosts import ME
from tests.stack.outside import GitHub, Outside, cloudflare
from tests.stack.stack import run

base, folder = hosts.base, hosts.folder


@pytest.fixture(scope="module")
def day(images, folder, base) -> Iterator[Day]:
    """The first day, once."""
    github = GitHub(folder / "github", SLUG)
    env = github.computer(folder / "home")
    repository = made(folder, env)
    github.folder.mkdir()
    machine = fresh(folder, base, github)
    try:
        github.open(machine)
        with cloudflare(ZONE) as account, Receiver(hosts.gateway()) as receiver:
            machine.env = {"CLOUDFLARE_BASE_URL": account.account.url}
            outside = Outside(machine, repository, images.standins)
            day = Day(machine, repository, env, github, account, outside, receiver)
            day.follow()
            yield day
    finally:
        machine.end()
        shutil.rmtree(machine.home)


def test_check_tells_what_a_fresh_host_lacks(day):
    lacking = (
        "docker engine",
        "nftables",
        "unattended-upgrades",
        "sets the clock",
        "mailboxes/",
        ".env.example",
    )
    assert [word for word in lacking if word not in day.said[LOOK]] == []


def test_the_whole_server_is_healthy_and_the_tunnel_with_it(day):
    day.machine.healthy()
    assert len(day.machine.states()) == 13 and "cloudflared" in day.machine.states()


def test_the_first_deployment_can_be_gone_back_to(day):
    history = json.loads(day.machine.shell("mailctl history --json"))
    head = day.machine.shell("git rev-parse HEAD").strip()
    assert [one["result"] for one in history["deployments"]] == ["deployed", "deployed"]
    assert history["reach"] == [head]


def test_nothing_is_edited_on_the_host_and_git_sees_no_secret(day):
    assert day.machine.shell("git status --porcelain") == ""
    assert day.machine.shell("git add --all --dry-run") == ""
    assert RELAY_KEY in day.machine.shell("cat secrets/relay_password")


def test_the_test_alarm_arrives_outside(day):
    assert day.receiver.subjects[0] == "Test alarm" and "sent" in day.said[day.block("make alarm-test")]


def test_the_deploy_key_cannot_push(day):
    refused = day.machine.call("git push origin HEAD:other")
    assert refused.returncode and "other" not in run("git", "branch", cwd=day.github.bare, env=day.env)


def test_mail_arrives_elsewhere_until_the_switch_and_here_after_it(day):
    before, after = (day.mail[day.block(words)] for words in ("cat secrets/usermgmt_admin", "--adopt"))
    assert not before[0] and "route1.mx.cloudflare.net" not in before[1]
    assert after[0] and before[1].isdisjoint(after[1])
    assert "Nothing to do: Cloudflare is as edge/edge.yml says" in day.said[day.block("--adopt")]


def test_the_records_of_the_relay_are_published(day):
    names = day.cloudflare.records("CNAME")
    assert names[f"em1234.{ZONE}"] == "u1234567.wl123.sendgrid.net" and f"mail.{ZONE}" in names


def test_the_first_mail_in_is_in_the_mailbox(day):
    said = day.said[day.block("make edge-check")]
    assert "failed" not in said and f"in the mailbox of {ME}" in said


def test_the_first_mail_out_is_at_the_relay_signed_with_a_key_that_dns_has(day):
    assert "sent" in day.said[day.block("make trace")]
    resolver = dns.resolver.Resolver(configure=False)
    host, _, port = day.cloudflare.dns.address.partition(":")
    resolver.nameservers, resolver.port = [host], int(port)

    def record(name: bytes, timeout: int = 5) -> bytes:
        [answer] = resolver.resolve(name.decode(), "TXT", lifetime=timeout)
        return b"".join(answer.strings)

    [message] = [one for one in day.outside.sent() if one["Subject"] == "Re: first mail"]
    raw = day.outside.raw(message).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert dkim.verify(raw, dnsfunc=record)
    assert not dkim.verify(raw.replace(b"Thank you", b"No thanks"), dnsfunc=record)


def test_the_first_backup_is_there(day):
    assert "AGE-SECRET-KEY-1" in day.said[day.block("make backup-key")]
    assert day.machine.shell(f"ls {HDD}/{SLUG}/daily").strip()


def test_the_probe_says_that_the_relay_has_it_and_nothing_came_back(day):
    assert "it was lost outside" in " ".join(day.said[day.block("make probe")].split())


# Documents with commands, and what of them is done elsewhere: the trial is what other stack tests run in.
DOCUMENTS = (
    "docs/operations.md",
    "docs/runbooks/mail-does-not-arrive.md",
    "docs/runbooks/mail-does-not-go-out.md",
    "docs/runbooks/rotate-secrets.md",
    "docs/runbooks/service-unhealthy.md",
    "docs/runbooks/virus-scanner-down.md",
)
ELSEWHERE = ("make local",)


def test_every_document_with_commands_is_listed(day):
    root = day.repository
    found = {str(path.relative_to(root)) for path in root.glob("docs/**/*.md") if blocks(path.read_text())}
    assert found == {*DOCUMENTS, START, *OF_THE_HOST, *OF_THE_TARGET, *OF_THE_WORKFLOWS}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_a_document_works_as_written(day, document):
    day.machine.healthy()
    for block in blocks((day.repository / document).read_text()):
        if not any(words in block for words in ELSEWHERE):
            day.machine.shell(block)


def test_the_dkim_key_is_rotated_by_the_commands_of_its_task(day):
    [block] = blocks(tasks((day.repository / HOW).read_text())[DKIM])
    asked = f' ARGS="--resolver {day.cloudflare.dns.address}"\n'
    assert "stays for mail on its way" in day.machine.shell(block.replace("\n", asked))


def test_the_firewall_keeps_ssh_open_and_leaves_the_engines_rules_alone(day):
    rules = day.machine.shell("nft list ruleset")
    assert "tcp dport 22 accept" in rules and "policy drop" in rules and "DOCKER" in rules
    day.machine.shell(f"systemctl is-enabled {SLUG}-firewall && ssh-keyscan -T 5 localhost")


def test_a_port_that_would_be_cut_off_stops_the_setup_before_anything_changes(day):
    listens = "until ss -Htln | grep -q :8088; do :; done"
    day.machine.shell(f"systemd-run -q --unit web python3 -m http.server 8088 && {listens}")
    day.write("HOST_USER", "deploy")
    refused = day.machine.call(SETUP)
    assert refused.returncode and "8088 (python3)" in refused.stdout and "HOST_OPEN_PORTS" in refused.stdout
    assert day.machine.call("id deploy").returncode
    day.write("HOST_OPEN_PORTS", "8088")
    day.machine.shell(SETUP)
    assert "tcp dport { 22, 8088 } accept" in day.machine.shell("nft list ruleset")
    assert "json-file" in day.machine.shell("su deploy -c 'docker info --format {{.LoggingDriver}}'")
