"""A merge reaches the host by each of the two methods, and mail goes on all the while."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.deploy.target import REPOSITORY
from tests.deploy.traffic import traffic
from tests.deploy.workflow import by_pull, until_idle
from tests.stack.documents import OF_THE_TARGET, blocks
from tests.stack.stack import eventually

SERVICES = {
    *("mariadb", "dovecot", "postfix", "valkey", "unbound", "clamav", "rspamd", "roundcube"),
    *("mailserver-api", "usermgmt", "nginx"),
}
AGENT = "/opt/mailserver-agent"
# Of `make setup-host`, what belongs to pull: the rest of it brings packages and a firewall.
UNITS = f"""from pathlib import Path
from mailctl.agent import setup
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.host import install, units
place = units.Place("mailserver", Path("{REPOSITORY}"), Path("/mnt/hdd"), Path("/srv/ssd"), "UTC")
setup.repair(Context(place.repo, Output()))
install._write(place.home / "run", units.launcher(place))
for name, text in units.texts(place, (units.PULL,)).items():
    (Path("/etc/systemd/system") / name).write_text(text)
"""
# Two minutes are long for a test.
SOON = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\nAccuracySec=1s\n"
NGINX = "config/nginx/mailserver.conf"


def last(lab) -> dict:
    """The newest entry of the history."""
    return json.loads(lab.target.repo(".venv/bin/mailctl history --json").said)["deployments"][0]


def test_the_first_merge_brings_the_whole_server_up(lab, say):
    assert not lab.first.red, lab.first.said
    states = lab.target.containers()
    assert states.keys() == SERVICES and {each["health"] for each in states.values()} == {"healthy"}
    say(f"first deployment from nothing: {lab.seconds:.0f} s")


def test_a_second_deployment_of_the_same_commit_is_fast_and_recreates_nothing(lab, say):
    before, began = lab.target.containers(), time.monotonic()
    job = lab.deploy(lab.good)
    assert not job.red, job.said
    assert lab.target.containers() == before
    say(f"deployment without a change: {time.monotonic() - began:.1f} s")


def test_a_changed_configuration_recreates_only_the_service_that_reads_it(lab):
    before, old = lab.target.containers(), lab.good
    commit = lab.origin.change(
        "Longer wait", [{"file": NGINX, "replace": ["body_timeout 30s", "body_timeout 40s"]}]
    )
    with traffic(lab.target, lab.image, "configuration"):
        job = lab.deploy(commit)
    assert not job.red, job.said
    after = lab.target.containers()
    assert [name for name in SERVICES if before[name]["id"] != after[name]["id"]] == ["nginx"]
    assert "body_timeout 40s" in lab.target.repo("docker compose exec -T nginx nginx -T").said
    entry = last(lab)
    assert (entry["ref"], entry["from"], entry["result"]) == (commit, old, "deployed")
    lab.good = commit


def test_a_changed_image_is_built_and_exchanged(lab):
    before = lab.target.containers()
    edit = {"file": "platform/usermgmt/Dockerfile", "append": "LABEL release=2\n"}
    commit = lab.origin.change("A new release of usermgmt", [edit])
    with traffic(lab.target, lab.image, "image"):
        job = lab.deploy(commit)
    assert not job.red, job.said
    after = lab.target.containers()
    assert [name for name in SERVICES if before[name]["image"] != after[name]["image"]] == ["usermgmt"]
    lab.good = commit


@pytest.fixture(scope="module")
def agent(lab) -> Iterator[None]:
    """The agent as `make setup-host` installs it, told to take what a workflow moved a branch to.

    Afterwards it asks for nothing again, as where GitHub's workflow has waited for the checks.
    """
    lab.target.console(f"{REPOSITORY}/.venv/bin/python -", stdin=UNITS)
    trusts(lab, "ref")
    lab.origin.checked()
    lab.target.shell("systemctl daemon-reload")
    yield
    trusts(lab)


def trusts(lab, *ways: str) -> None:
    lab.target.shell(f"sed -i 's/^trust:.*/trust: [{', '.join(ways)}]/' {AGENT}/agent.yml")


def test_a_host_that_pulls_deploys_by_its_timer_alone_what_was_checked(lab, agent):
    unchecked = lab.origin.change(
        "Not checked yet", [{"file": NGINX, "replace": ["body_timeout 40s", "body_timeout 35s"]}]
    )
    job = by_pull(lab.target)
    assert not job.red and "waiting" in job.said, job.said
    assert last(lab)["ref"] != unchecked
    commit = lab.origin.checked()
    folder = "/etc/systemd/system/mailserver-deploy.timer.d"
    lab.target.console(f"mkdir -p {folder} && cat >{folder}/soon.conf", stdin=SOON)
    lab.target.shell("systemctl daemon-reload && systemctl restart mailserver-deploy.timer")
    eventually(lambda: last(lab)["ref"] == commit, limit=600, every=1)
    lab.target.shell("systemctl stop mailserver-deploy.timer")
    until_idle(lab.target)
    lab.good = commit


def test_a_commit_whose_mailctl_breaks_is_taken_back_and_the_next_one_deploys_by_itself(lab, agent):
    """A typo that shows only when it runs, in the very code that deploys (measured as G3)."""
    environment = lab.target.shell(f"readlink -f {AGENT}/current/env")
    before = lab.target.containers()
    file = "platform/mailctl/src/mailctl/deploy/run.py"
    typo = {
        "file": file,
        "replace": ["    host.tree.go(journal.target.ref)\n", "    host.tree.goes(journal)\n"],
    }
    nginx = {"file": NGINX, "replace": ["body_timeout 35s", "body_timeout 45s"]}
    lab.origin.change("A typo", [typo, nginx])
    bad = lab.origin.checked()
    job = by_pull(lab.target)
    assert job.red and "AttributeError" in job.said, job.said
    assert (last(lab)["ref"], last(lab)["result"]) == (bad, "rolled-back")
    assert {name: each["image"] for name, each in lab.target.containers().items()} == {
        name: each["image"] for name, each in before.items()
    }
    right = {"file": file, "replace": typo["replace"][::-1]}
    # Its requirements differ as well: an environment of its own is made in the unit, as hardened as that is.
    requires = {"file": "platform/mailctl/requirements.txt", "append": "# Nothing new.\n"}
    lab.origin.change("Without the typo", [right, requires])
    lab.good = lab.origin.checked()
    job = by_pull(lab.target)
    assert not job.red and last(lab)["ref"] == lab.good, job.said
    assert lab.target.shell(f"readlink -f {AGENT}/current/env") != environment


def test_the_deploy_key_is_for_three_commands_only(lab, agent):
    run = f"{AGENT}/run over-ssh"
    refused = lab.target.ssh(f"SSH_ORIGINAL_COMMAND='bash -i' {run}")
    assert refused.code == 1 and "is not what this key is for" in " ".join(refused.said.split())
    done = lab.target.ssh(f"SSH_ORIGINAL_COMMAND='deploy {lab.good}' {run}")
    assert done.code == 0 and "unchanged" in done.said, done.said


@pytest.mark.parametrize("document", OF_THE_TARGET)
def test_every_command_of_the_page_works_on_the_host(document, lab, agent):
    for block in blocks((lab.origin.work / document).read_text()):
        lab.target.shell(f"cd {REPOSITORY}\n{block}")


def test_with_signatures_demanded_an_unsigned_commit_is_not_pulled_and_a_signed_one_is(lab, agent):
    key = lab.target.folder / "signing"
    lab.target.console("rm -f /root/signer*; ssh-keygen -q -t ed25519 -N '' -f /root/signer")
    key.write_text(lab.target.console("cat /root/signer"))
    key.chmod(0o600)
    signer = lab.target.console("cat /root/signer.pub")
    lab.target.console(f"cat >{AGENT}/keys/allowed_signers", stdin=f"operator@example.com {signer}")
    trusts(lab, "signature")
    before = lab.target.containers()
    lab.origin.push("Nobody signed this")
    refused = by_pull(lab.target)
    assert refused.red and "signature" in refused.said, refused.said
    assert lab.target.containers() == before
    lab.origin.back(lab.good)
    (key.with_suffix(".pub")).write_text(signer)
    sign = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "-c", "commit.gpgsign=true")
    commit = lab.origin.push("Signed", *sign)
    assert not (job := by_pull(lab.target)).red, job.said
    assert last(lab)["ref"] == commit
    trusts(lab, "ref")
    lab.good = commit
