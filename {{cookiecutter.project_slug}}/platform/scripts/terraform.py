"""What CI does with Terraform, the same on a laptop: plan with a report, fetch that plan, apply exactly it.

    terraform.py plan     reports/plan/tfplan, and reports/terraform.md for people
    terraform.py fetch    the plan of the pull request that SHA merged, or of the run RUN
    terraform.py apply    reports/plan/tfplan, nothing else

Needs terraform or tofu on the path; fetch needs gh. Exit code: 0 done, 1 refused or failed, 2 misuse.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

MODULE = Path("terraform/s3-backup")
REPORTS = Path(os.environ.get("REPORTS", "reports"))
PLAN = REPORTS / "plan"
REPORT = REPORTS / "terraform.md"
WORKFLOW, ARTIFACT = "terraform.yml", "terraform-plan"
#: What the role for GitHub must not change (github-permissions.tf): identities, and who gets at the bucket.
BY_ADMINISTRATOR = (
    "aws_iam_openid_connect_provider",
    "aws_iam_policy.boundary",
    "aws_iam_role",
    "aws_iam_role_policy",
    "aws_iam_user",
    "aws_iam_user_policy_attachment",
    "aws_s3_bucket_object_lock_configuration",
    "aws_s3_bucket_ownership_controls",
    "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block",
)
#: A comment on GitHub may have 65,536 characters.
LONGEST = 60_000
PLAN_AGAIN = "start this workflow by hand, it plans again"


class Failed(Exception):
    """Something that was tried and did not work; the text says what to do."""


def call(*command: str, codes: tuple[int, ...] = (0,), shown: bool = False) -> str:
    """Run a program and return what it printed, which is shown as well if asked for. Raises Failed."""
    done = subprocess.run(command, stdout=None if shown else subprocess.PIPE, text=True, check=False)
    if done.returncode not in codes:
        raise Failed(f"{' '.join(command[:4])} ended with {done.returncode}")
    return done.stdout or ""


def terraform(*words: str, codes: tuple[int, ...] = (0,), shown: bool = False) -> str:
    """Run terraform, or tofu where that is installed, in the module."""
    program = shutil.which("terraform") or shutil.which("tofu")
    if program is None:
        raise Failed("neither terraform nor tofu is installed here")
    return call(program, f"-chdir={MODULE}", *words, codes=codes, shown=shown)


def tree() -> str:
    """git's name of the content of terraform/: a plan is for exactly that."""
    return call("git", "rev-parse", "HEAD:terraform").strip()


def changes(plan: Path) -> list[tuple[str, str]]:
    """Address and actions of everything that a plan changes."""
    document = json.loads(terraform("show", "-json", str(plan.resolve())))
    found = [
        (each["address"], "/".join(each["change"]["actions"]))
        for each in document.get("resource_changes", [])
    ]
    return [(address, actions) for address, actions in found if actions not in ("no-op", "read")]


def by_administrator(found: list[tuple[str, str]]) -> list[str]:
    """The changes that the role for GitHub has no right to. A thing that is missing it cannot make either."""
    return [
        address
        for address, actions in found
        if "create" in actions
        or "delete" in actions
        or any(
            address.partition("[")[0] == name or address.startswith(f"{name}.") for name in BY_ADMINISTRATOR
        )
    ]


def report(plan: Path) -> None:
    """Write what people read: in a comment, and in the summary of a workflow's run."""
    found = changes(plan)
    text = terraform("show", "-no-color", str(plan.resolve())).strip()
    cut = "\n… the rest is in the log\n" if len(text) > LONGEST else ""
    lines = ["<!-- terraform -->", f"### Terraform: {len(found)} change(s)", ""]
    if special := by_administrator(found):
        lines += ["**For an administrator**, since the role for GitHub has no right to it:", ""]
        lines += [f"- `{address}`" for address in special] + [""]
    lines += [
        "<details><summary>The whole plan</summary>",
        "",
        "```text",
        text[:LONGEST] + cut,
        "```",
        "",
        "</details>",
        "",
    ]
    REPORT.write_text("\n".join(lines), encoding="utf-8")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write("\n".join(lines))
    print(text)


def plan() -> None:
    """Plan, with the state unlocked: the role of pull requests only reads."""
    PLAN.mkdir(parents=True, exist_ok=True)
    target = (PLAN / "tfplan").resolve()
    terraform("init", "-input=false")
    terraform("plan", "-input=false", "-lock=false", f"-out={target}")
    (PLAN / "tree").write_text(f"{tree()}\n", encoding="utf-8")
    report(target)


def run_of_the_pull_request(sha: str) -> str:
    """The workflow's run that planned what a commit merged. Raises Failed when there is none."""
    heads = call("gh", "api", f"repos/{{owner}}/{{repo}}/commits/{sha}/pulls", "--jq", ".[].head.sha").split()
    for head in heads:
        query = f"event=pull_request&status=success&head_sha={head}"
        path = f"repos/{{owner}}/{{repo}}/actions/workflows/{WORKFLOW}/runs?{query}"
        if runs := call("gh", "api", path, "--jq", ".workflow_runs[].id").split():
            return runs[0]
    raise Failed(
        f"no pull request with a plan was merged as {sha}: start this workflow by hand, it plans again"
    )


def fetch() -> None:
    """Put the plan that was reviewed into reports/plan. Raises Failed when it is for other files."""
    run = os.environ.get("RUN") or run_of_the_pull_request(
        os.environ.get("SHA") or call("git", "rev-parse", "HEAD").strip()
    )
    shutil.rmtree(PLAN, ignore_errors=True)
    call("gh", "run", "download", run, "--name", ARTIFACT, "--dir", str(PLAN))
    planned = (PLAN / "tree").read_text(encoding="utf-8").strip()
    if planned != tree():
        raise Failed(f"terraform/ is not what was planned for: {PLAN_AGAIN}")
    terraform("init", "-input=false", "-backend=false")
    report(PLAN / "tfplan")


def apply() -> None:
    """Apply reports/plan/tfplan. Terraform itself refuses it when the state has changed since."""
    target = PLAN / "tfplan"
    if not target.is_file():
        raise Failed(f"{target} is missing: make terraform-fetch-plan")
    terraform("init", "-input=false")
    if os.environ.get("CI") and (special := by_administrator(changes(target))):
        raise Failed(f"for an administrator (docs/runbooks/terraform.md): {', '.join(special)}")
    terraform("apply", "-input=false", str(target.resolve()), shown=True)


def main(words: list[str]) -> int:
    """Run the one command that was named."""
    commands = {"plan": plan, "fetch": fetch, "apply": apply}
    if len(words) != 1 or words[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        commands[words[0]]()
    except (Failed, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
