"""The `run` steps of terraform.yml: a pull request shows its plan, and a merge applies exactly that plan."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import PATH_STYLE
from equipment.cloud import Cloud
from equipment.template import TEMPLATE, front_door, render
from equipment.workspace import Workspace

REPOSITORY = TEMPLATE.parent
WORKFLOW = yaml.safe_load((REPOSITORY / ".github/workflows/terraform.yml").read_text())
ALARM = "mailserver-production-cost"
#: What GitHub's expressions are here. An artifact is a folder; the job's token is told in every call of gh.
GH = """\
#!/bin/sh
echo "$GH_TOKEN $*" >>"$GH_LOG"
case "$*" in
  *"/pulls --jq"*) echo head-of-the-pull-request ;;
  *"/runs?event=pull_request&status=success&head_sha=head-of-the-pull-request"*) echo 100 ;;
  "run download "*) mkdir -p "$7" && cp -r "$GH_ARTIFACTS/$3/." "$7" ;;
esac
"""


class StepFailed(Exception):
    """A step that ended with an error; the text is what it said."""


class Checkout:
    """A repository at GitHub: `job` runs a job's steps as its event would."""

    def __init__(self, folder: Path, module: Workspace) -> None:
        self.folder, self.artifacts = folder, folder.parent / "artifacts"
        bin_folder = folder.parent / "bin"
        bin_folder.mkdir()
        (bin_folder / "gh").write_text(GH)
        (bin_folder / "gh").chmod(0o755)
        self.log = folder.parent / "gh.log"
        given = WORKFLOW["env"]
        values = {
            "${{ github.repository }}": "example/mailserver",
            "${{ github.repository_owner_id }}": "123456",
            "${{ github.repository_id }}": "456789",
        }
        self.environment = {
            **module.environment,
            **{name: values[value] for name, value in given.items()},
            "PATH": os.pathsep.join([str(bin_folder), module.environment["PATH"], os.environ["PATH"]]),
            "TF_CLI_ARGS_init": PATH_STYLE,
            "GH_LOG": str(self.log),
            "GH_ARTIFACTS": str(self.artifacts),
            "CI": "true",
        }

    def git(self, *words: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        done = subprocess.run(
            ["git", *identity, *words], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout

    def commit(self, file: str, before: str, after: str) -> None:
        path = self.folder / "terraform/s3-backup" / file
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))
        self.git("commit", "--quiet", "--all", "--message", after)

    def job(self, name: str, event: str, run: int) -> str:
        """The steps of a job in their order, without those of other events. Raises StepFailed."""
        said = ""
        shutil.rmtree(self.folder / "terraform/s3-backup/.terraform", ignore_errors=True)
        for step in WORKFLOW["jobs"][name]["steps"]:
            if "run" in step and _meant(step.get("if", ""), event):
                said += self.run(
                    step["run"], {n: self._value(v, run) for n, v in step.get("env", {}).items()}
                )
            if step.get("with", {}).get("name") == "terraform-plan":
                target = self.artifacts / str(run)
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(self.folder / step["with"]["path"], target)
        shutil.rmtree(self.folder / "reports", ignore_errors=True)
        return said

    def _value(self, expression: str, run: int) -> str:
        return {
            "${{ github.token }}": "a-token",
            "${{ github.run_id }}": str(run),
            "${{ github.sha }}": self.git("rev-parse", "HEAD").strip(),
            "${{ github.event.pull_request.number }}": "7",
        }[expression]

    def run(self, script: str, given: dict[str, str]) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**self.environment, **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StepFailed(f"{script}\n{done.stdout}")
        return done.stdout


def _meant(condition: str, event: str) -> bool:
    """Whether a step runs for an event: what its `if` says about `github.event_name`."""
    words = condition.removeprefix("${{").removesuffix("}}").split()
    if not words:
        return True
    name, sign, value = words
    assert name == "github.event_name"
    return (value.strip("'") == event) is (sign == "==")


@pytest.fixture(scope="module")
def checkout(applied: Workspace, tmp_path_factory: Any) -> Iterator[Checkout]:
    """What an administrator has applied, as a repository with its first commit."""
    folder = tmp_path_factory.mktemp("github") / "repository"
    render(folder / "terraform")
    front_door(folder)
    shutil.copy(REPOSITORY / ".gitignore", folder / ".gitignore")
    checkout = Checkout(folder, applied)
    checkout.git("init", "--quiet", "--initial-branch", "main")
    checkout.git("add", "--all")
    checkout.git("commit", "--quiet", "--message", "first")
    yield checkout


def threshold(cloud: Cloud) -> float:
    found = cloud.client("cloudwatch", "us-east-1").describe_alarms(AlarmNames=[ALARM])["MetricAlarms"]
    return found[0]["Threshold"]


def test_a_pull_request_shows_its_plan_and_its_merge_applies_it(checkout: Checkout, cloud: Cloud) -> None:
    checkout.commit("variables.tf", "default     = 10\n", "default     = 20\n")
    said = checkout.job("plan", "pull_request", run=100)
    assert "1 to change" in said and threshold(cloud) == 10, "a pull request changes nothing"
    asked = checkout.log.read_text()
    assert "a-token api --silent --method POST" in asked and "reports/terraform.md" in asked
    merged = checkout.job("plan", "push", run=101)
    assert "1 to change" in merged, "the reviewer sees what the pull request showed"
    checkout.job("apply", "push", run=101)
    assert threshold(cloud) == 20


def test_a_plan_for_other_files_is_not_applied(checkout: Checkout, cloud: Cloud) -> None:
    checkout.commit("variables.tf", "default     = 20\n", "default     = 25\n")
    checkout.job("plan", "pull_request", run=100)
    checkout.commit("variables.tf", "default     = 25\n", "default     = 45\n")
    with pytest.raises(StepFailed) as failure:
        checkout.job("plan", "push", run=102)
    assert "terraform/ is not what was planned for" in str(failure.value)
    assert threshold(cloud) == 20


def test_a_plan_that_is_too_old_is_refused_and_one_by_hand_is_applied(
    checkout: Checkout, cloud: Cloud
) -> None:
    checkout.job("plan", "pull_request", run=100)
    checkout.job("plan", "push", run=103)
    checkout.job("plan", "workflow_dispatch", run=104)
    checkout.job("apply", "workflow_dispatch", run=104)
    assert threshold(cloud) == 45
    with pytest.raises(StepFailed) as failure:
        checkout.job("apply", "push", run=103)
    assert "Saved plan is stale" in " ".join(str(failure.value).split())


def test_what_only_an_administrator_may_change_is_said_and_not_begun(
    checkout: Checkout, cloud: Cloud
) -> None:
    checkout.commit("variables.tf", "default     = 30\n", "default     = 31\n")
    report = checkout.folder / "summary.md"
    checkout.environment["GITHUB_STEP_SUMMARY"] = str(report)
    checkout.job("plan", "pull_request", run=100)
    for address in ("aws_s3_bucket_policy.backup", "aws_s3_bucket_object_lock_configuration.backup"):
        assert f"- `{address}`" in report.read_text()
    report.unlink()
    checkout.job("plan", "push", run=105)
    with pytest.raises(StepFailed) as failure:
        checkout.job("apply", "push", run=105)
    assert "for an administrator" in str(failure.value)
    lock = cloud.client("s3").get_object_lock_configuration(Bucket="example-com-mail-backup")
    assert lock["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Days"] == 30


def test_every_command_of_the_runbook_works_by_hand(checkout: Checkout, cloud: Cloud) -> None:
    page = (REPOSITORY / "_docs/en/docs/runbooks/terraform.md").read_text()
    checkout.git("revert", "--no-edit", "HEAD")  # the lock of the test before this one
    checkout.commit("variables.tf", "default     = 45\n", "default     = 50\n")
    by_hand = {name: value for name, value in checkout.environment.items() if name != "CI"}
    identity = {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    checkout.environment = by_hand | identity
    plan, apply, output, back = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for block in (plan, apply):
        checkout.run(block, {})
    assert threshold(cloud) == 50
    assert "restore_role_arn" in checkout.run(output, {})
    checkout.run(back, {})
    assert threshold(cloud) == 45


def test_the_list_of_what_an_administrator_changes_is_that_of_the_table(tmp_path: Path) -> None:
    text = (REPOSITORY / "platform/scripts/terraform.py").read_text()
    listed = text[text.index("BY_ADMINISTRATOR = (") :].partition(")")[0]
    table = yaml.safe_load(Path(__file__).with_name("provider-calls.yml").read_text())
    wanted = {name for name, row in table.items() if row["by"] == "administrator"}
    assert {word.strip(' ",') for word in listed.splitlines()[1:]} - {""} == wanted


def test_lock_files_name_every_platform(applied: Workspace, tmp_path: Path) -> None:
    """By the real core, from a mirror in the place of the registry."""
    repository = tmp_path / "repository"
    render(repository / "terraform")
    front_door(repository)
    mirror = tmp_path / "mirror"
    source = Path(applied.command).parents[1] / "mirror"
    shutil.copytree(source, mirror)
    (built,) = mirror.glob("*/*/*/*/linux_amd64")
    platforms = ("linux_arm64", "darwin_arm64")
    for number, name in enumerate(platforms):
        shutil.copytree(built, built.with_name(name))
        (built.with_name(name) / "README").write_text(str(number))
    given = {"PLATFORMS": f"linux_amd64 {' '.join(platforms)}", "LOCK_FROM": f"-fs-mirror={mirror}"}
    path = os.pathsep.join([applied.environment["PATH"], os.environ["PATH"]])
    subprocess.run(
        ["make", "terraform-lock"],
        cwd=repository,
        env={**applied.environment, **given, "PATH": path},
        check=True,
        capture_output=True,
    )
    for module in ("s3-backup", "state-bootstrap"):
        lock = (repository / "terraform" / module / ".terraform.lock.hcl").read_text()
        assert lock.count('"h1:') == 3, lock
