"""Bad commits: refused by the gate, or before anything is touched, or taken back by the deployment itself.
The next good commit then deploys without a hand.

Each is a file in bad/. `make test` takes a seeded sample, BAD_COMMITS=all every one of them.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.origin import edit
from tests.deploy.test_methods import last
from tests.deploy.traffic import traffic
from tests.deploy.workflow import Job, start_by_ssh
from tests.stack.stack import eventually
from tests.workflows.runner import TEMPLATE

BAD = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted(Path(__file__).parent.glob("bad/*.yml"))
}
ON_THE_HOST = [name for name, each in BAD.items() if each["stops"] != "gate"]
GATED = [name for name, each in BAD.items() if "gate" in each]
SEED = int(os.environ.get("SEED", "11"))
RECORDS = "/srv/ssd/.mailctl/deploy"
#: How many of each kind.
SAMPLE = {"refused": 1, "refused|rolled-back": 0, "rolled-back": 1, "settled": 1, "deployed": 0}
NGINX = "config/nginx/mailserver.conf"
#: The agent is killed once it has said so many lines.
MOMENTS = range(2, 22, 2)


def chosen() -> list[str]:
    """The sample of this run, or all."""
    if os.environ.get("BAD_COMMITS") == "all":
        return ON_THE_HOST
    dice = random.Random(SEED)  # noqa: S311 (a choice of tests)
    kinds = {kind: [name for name in ON_THE_HOST if BAD[name]["stops"] == kind] for kind in SAMPLE}
    return [
        name for kind, names in kinds.items() for name in dice.sample(names, min(SAMPLE[kind], len(names)))
    ]


@pytest.mark.parametrize("name", chosen())
def test_a_bad_commit_does_not_stay_and_no_mail_is_lost(name, lab, say):
    row = BAD[name]
    before, began = lab.target.containers(), time.monotonic()
    if "before" in row:
        lab.target.shell(row["before"])
    try:
        commit = lab.origin.change(row["title"], row["edits"])
        with traffic(lab.target, lab.image, name):
            job = deployed(lab, row, commit)
            seconds = time.monotonic() - began
            judge(lab, row, job, commit, before)
            entry = last(lab)
            lab.target.shell(row.get("after", "true"))
            repaired(lab, name)
    finally:
        lab.target.shell(row.get("after", "true"))
        lab.origin.back(lab.good)
    held = f", mail held for {entry['held']['seconds']:.0f} s" if entry["held"] else ""
    say(f"bad commit {name}: {entry['result']} in {seconds:.0f} s{held}")


def deployed(lab, row: dict[str, Any], commit: str) -> Job:
    """As a merge does; or by the deploy key alone, where the workflow would fail at the same mistake."""
    if "during" in row:
        return interrupted(lab, commit, row["during"])
    if row.get("by") != "key":
        return lab.deploy(commit)
    call = start_by_ssh(lab.target, commit)
    said, _ = call.communicate(timeout=900)
    return Job({"Deploy": done(call, said)})


def kills() -> list[tuple[int, str]]:
    """Moments, and what is deployed then: one in this run, or all."""
    dice = random.Random(SEED)  # noqa: S311 (a choice of tests)
    names = [name for name in ON_THE_HOST if BAD[name]["stops"] == "rolled-back"]
    found = [(moment, dice.choice(names)) for moment in MOMENTS]
    return found if os.environ.get("BAD_COMMITS") == "all" else [dice.choice(found)]


@pytest.mark.parametrize(("moment", "name"), kills())
def test_an_agent_that_is_killed_over_a_bad_commit_goes_on_to_the_same_end(moment, name, lab, say):
    before = lab.target.containers()
    try:
        commit = lab.origin.change(BAD[name]["title"], BAD[name]["edits"])
        with traffic(lab.target, lab.image, f"kill-{moment}-{name}"):
            killed_after(lab, commit, moment)
            again = lab.deploy(commit)
            assert again.red and last(lab)["result"] == "rolled-back", again.said
            assert lab.target.repo("git rev-parse HEAD").said.strip() == lab.good
            after = lab.target.containers()
            assert {n: each["image"] for n, each in after.items()} == {
                n: each["image"] for n, each in before.items()
            }
            repaired(lab, f"{name} after a kill")
    finally:
        lab.origin.back(lab.good)
    say(f"kill after {moment} lines of bad commit {name}: {last(lab)['result']}")


def killed_after(lab, commit: str, lines: int) -> None:
    """Begin to deploy, and kill the agent with all that it started once it has said so many lines."""
    call = start_by_ssh(lab.target, commit)
    for _ in range(lines):
        if not call.stdout.readline():
            break
    lab.target.console("pkill -KILL -f [m]ailserver-agent || true")
    call.communicate(timeout=600)


def repaired(lab, name: str) -> None:
    """The next good commit, on top of the bad one, deploys by itself."""
    commit = lab.origin.repair(lab.good, [{"file": NGINX, "append": f"# After {name}.\n"}])
    job = lab.deploy(commit)
    assert not job.red and last(lab)["ref"] == commit, job.said
    assert {each["health"] for each in lab.target.containers().values()} == {"healthy"}
    lab.good = commit


def judge(lab, row: dict[str, Any], job: Job, commit: str, before: dict[str, dict[str, str]]) -> None:
    """The job is red, the message names the cause, and what ran before runs."""
    if row["stops"] == "deployed":
        assert not job.red and last(lab)["ref"] == commit, job.said
        return None
    # What was interrupted may also have come to its good end by itself.
    assert job.red or (row["stops"] == "settled" and last(lab)["result"] == "deployed"), job.said
    said = " ".join(job.said.split())
    assert re.search(row["says"], said), job.said
    entry, after = last(lab), lab.target.containers()
    if row["stops"] == "settled":
        return settled(lab, commit)
    assert entry["result"] in row["stops"].split("|"), entry
    assert lab.target.repo("git rev-parse HEAD").said.strip() == lab.good
    if entry["result"] == "refused":
        assert after == before, "something was touched"
    else:
        assert re.fullmatch(row.get("culprit", ".*"), entry["culprit"] or ""), entry
        assert row.get("log", "") in job.said
    assert {name: each["image"] for name, each in after.items()} == {
        name: each["image"] for name, each in before.items()
    }
    assert {each["health"] for each in after.values()} == {"healthy"}
    return None


def interrupted(lab, commit: str, during: str) -> Job:
    """Begin to deploy, and do something to it once it has begun to touch containers."""
    call = start_by_ssh(lab.target, commit)
    eventually(
        lambda: '"switching"' in lab.target.console(f"cat {RECORDS}/journal.json"), limit=240, every=0.1
    )
    if during == "the connection":
        call.kill()
    else:
        lab.target.console(during)
    said, _ = call.communicate(timeout=600)
    return Job({"Deploy": done(call, said)})


def done(call: subprocess.Popen[str], said: str):
    from tests.deploy.target import Done

    return Done(call.returncode, said)


def settled(lab, commit: str) -> None:
    """The next call ends it: all of the new commit runs, or all of the old one."""
    idle = f"flock --nonblock {RECORDS}/lock true"
    eventually(lambda: lab.target.ssh(idle).code == 0, limit=400, every=1)
    again = lab.deploy(commit)
    head = lab.target.repo("git rev-parse HEAD").said.strip()
    assert head == (lab.good if again.red else commit), again.said
    assert {each["health"] for each in lab.target.containers().values()} == {"healthy"}
    if head == commit:
        # What runs has to descend from it, with the files as they were.
        lab.good = lab.origin.repair(lab.good, [])
        back = lab.deploy(lab.good)
        assert not back.red, back.said


@pytest.mark.parametrize("name", GATED)
def test_the_gate_refuses_it_before_the_merge(name, lab, tmp_path):
    repository = tmp_path / "repository"
    subprocess.run(["cp", "-r", lab.origin.work, repository], check=True)
    for each in BAD[name]["edits"]:
        edit(repository / each["file"], each)
    subprocess.run(["make", "--silent", ".venv-policies/.done"], cwd=TEMPLATE, check=True)
    words = [TEMPLATE / ".venv-policies/bin/python", "-P", "policies/__main__.py", "check", repository]
    found = subprocess.run(words, cwd=TEMPLATE, capture_output=True, text=True, check=False)
    assert found.returncode == 1 and BAD[name]["gate"] in found.stdout, found.stdout
