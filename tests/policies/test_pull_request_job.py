"""The gate's job of the generated workflow: a finding fails it, and its summary becomes one comment.

GitHub's program is a stand-in here, which keeps the comments of one pull request in a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from policies.gate.markdown import MARK

WORKFLOW = Path(".github/workflows/pull-request.yml")
#: Whoever asks is "gate"; fails where the state says so, as without rights.
GH = """\
#!{python}
import json, os, re, sys
path = os.environ["GH_STATE"]
state, words = json.load(open(path)), sys.argv[1:]
given = dict(word.split("=", 1) for word in words if re.match(r"\\w+=", word))
state["asked"].append(" ".join(words))
json.dump(state, open(path, "w"))
if state["fails"] in words:
    sys.exit("gh: HTTP 403")
comments = state["comments"]
if words[:2] == ["api", "graphql"]:
    assert given["number"] == "7" and "--paginate" in words and "endCursor" in given["query"]
    chosen = words[words.index("--jq") + 1]
    start = re.search(r'viewerDidAuthor and \\(.body \\| startswith\\("(.*?)"\\)', chosen)[1]
    for each in comments:
        if each["author"] == "gate" and each["body"].startswith(start):
            print(each["id"])
    sys.exit()
text = open(given["body"].removeprefix("@")).read()
method, where = words[words.index("--method") + 1], words[words.index("--method") + 2]
if (method, where) == ("POST", "repos/{{owner}}/{{repo}}/issues/7/comments"):
    comments.append({{"id": len(comments) + 1, "author": "gate", "body": text}})
else:
    number = re.fullmatch(r"repos/{{owner}}/{{repo}}/issues/comments/(\\d+)", where)[1]
    assert method == "PATCH"
    comments[int(number) - 1]["body"] = text
json.dump(state, open(path, "w"))
"""


class Hub:
    """The stand-in's comments, as pairs of author and text."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "gh.json"
        program = folder / "bin" / "gh"
        program.parent.mkdir()
        program.write_text(GH.format(python=sys.executable))
        program.chmod(0o755)
        self.has()
        path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "GH_STATE": str(self.state), "PULL_REQUEST": "7"}

    def has(self, *comments: tuple[str, str], fails: str = "-") -> None:
        """Begin with these comments; `fails` is a word that no request may have."""
        rows = [{"id": at, "author": who, "body": body} for at, (who, body) in enumerate(comments, 1)]
        self.state.write_text(json.dumps({"comments": rows, "asked": [], "fails": fails}))

    def read(self, what: str) -> list:
        """Return the comments, or what was asked."""
        return json.loads(self.state.read_text())[what]

    def comments(self) -> list[tuple[str, str]]:
        return [(each["author"], each["body"]) for each in self.read("comments")]


@pytest.fixture
def hub(tmp_path) -> Hub:
    return Hub(tmp_path)


def comment(repository: Path, hub: Hub, report: str = f"{MARK}\n## new\n") -> int:
    (repository / "reports").mkdir(exist_ok=True)
    (repository / "reports" / "gate.md").write_text(report)
    command = ["make", "check-comment"]
    return subprocess.run(command, cwd=repository, env=hub.environment, capture_output=True).returncode


NEW = ("gate", f"{MARK}\n## new\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [NEW]),
        ([("gate", f"{MARK}\n## old\n")], [NEW]),
        (
            [("gate", f"{MARK}\n## old\n"), ("gate", "Another program of this account says so")],
            [NEW, ("gate", "Another program of this account says so")],
        ),
        ([("stranger", f"{MARK}\n## green\n")], [("stranger", f"{MARK}\n## green\n"), NEW]),
        ([("gate", f"> {MARK}\nan answer")], [("gate", f"> {MARK}\nan answer"), NEW]),
        ([("gate", f"{MARK} one"), ("gate", f"{MARK} two")], [NEW, ("gate", f"{MARK} two")]),
    ],
    ids=["none", "an old one", "a later one of ours", "a stranger's with our mark", "an answer", "two"],
)
def test_the_summary_is_made_or_renewed_and_no_other_comment_is_touched(repository, hub, before, after):
    hub.has(*before)
    assert comment(repository, hub) == 0
    assert hub.comments() == after


@pytest.mark.parametrize("fails", ["graphql", "POST"])
def test_a_request_that_fails_is_said_and_makes_no_second_comment(repository, hub, fails):
    hub.has(fails=fails)
    assert comment(repository, hub) != 0
    assert hub.comments() == []


def test_without_a_report_nothing_is_asked(repository, hub):
    assert comment(repository, hub, report="") != 0
    assert hub.read("asked") == []


# ---- the job


def steps(repository: Path, hub: Hub, values: dict[str, str]) -> dict[str, bool]:
    """Run the job's own steps as GitHub does; return which of them passed. The gate has one rule here."""
    job = yaml.safe_load((repository / WORKFLOW).read_text())["jobs"]["gate"]
    environment = {**hub.environment, "GATE": sys.prefix}
    passed: dict[str, bool] = {}
    for step in job["steps"]:
        if step.get("run") in (None, "make check-tools"):
            continue
        if not holds(step.get("if", "True"), "pull_request", OURS):
            continue
        if not all(passed.values()) and "!cancelled()" not in step.get("if", ""):
            continue
        given = {name: values[value] for name, value in step.get("env", {}).items()}
        script = step["run"].replace("CHECK=--require-tools", "CHECK='--only MAIL_REP_001'")
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        done = subprocess.run(command, cwd=repository, env={**environment, **given}, capture_output=True)
        passed[step["name"]] = done.returncode == 0
    return passed


@pytest.mark.parametrize("weak", [False, True], ids=["nothing is wrong", "a finding"])
def test_a_finding_fails_the_gate_s_step_and_its_reports_are_there_and_told(tracked, hub, weak):
    if weak:
        (tracked / ".gitignore").write_text("reports/\n")
    # The environment of these tests has what the gate needs: make shall not fetch it again.
    os.utime(tracked / "policies" / "requirements.txt", (0, 0))
    values = {"${{ github.token }}": "a-token", "${{ github.event.pull_request.number }}": "7"}
    assert steps(tracked, hub, values) == {"Gate": not weak, "Summary in the pull request": True}
    ((author, body),) = hub.comments()
    assert author == "gate" and body.startswith(f"{MARK}\n## {'❌' if weak else '✅'} Gate\n")
    assert ("MAIL_REP_001" in body) is weak
    results = json.loads((tracked / "reports" / "gate.sarif").read_text())["runs"][0]["results"]
    assert {each["ruleId"] for each in results} == ({"MAIL_REP_001"} if weak else set())
    assert (tracked / "reports" / "gate.xml").stat().st_size


# ---- its conditions


OURS, FORK = "acme/mail", "stranger/mail"
PULL = "github.event.pull_request.head.repo.full_name == github.repository"


def holds(condition: str, event: str, head: str, variable: str = "", seen_by: str = "public") -> bool:
    """Evaluate one of the conditions of the workflow, whose operators are few."""
    text = " ".join(condition.split()).removeprefix("${{").removesuffix("}}")
    for old, new in (
        ("!cancelled()", "True"),
        ("!vars.CODE_SCANNING", str(not variable)),
        ("github.event.repository.visibility", repr(seen_by)),
        (PULL, str(event == "pull_request" and head == OURS)),
        ("vars.CODE_SCANNING", repr(variable)),
        (
            'contains(fromJSON(\'["push", "schedule"]\'), github.event_name)',
            str(event in ("push", "schedule")),
        ),
        ("github.event_name", repr(event)),
        ("&&", "and"),
        ("||", "or"),
    ):
        text = text.replace(old, new)
    return eval(text.strip(), {"__builtins__": {}})  # noqa: S307 - our own file, with every name replaced


@pytest.mark.parametrize(
    ("event", "head", "variable", "commented", "uploaded", "cancelled"),
    [
        ("pull_request", OURS, "", True, True, True),
        ("pull_request", OURS, "false", True, False, True),
        ("pull_request", FORK, "", False, False, True),
        ("merge_group", "", "", False, False, False),
        ("push", "", "", False, True, False),
        ("push", "", "false", False, False, False),
        ("schedule", "", "true", False, True, False),
    ],
)
def test_each_event_comments_uploads_and_makes_room_as_it_should(
    generate, event, head, variable, commented, uploaded, cancelled
):
    workflow = yaml.safe_load((generate() / WORKFLOW).read_text())
    named = {each["name"]: each.get("if", "") for each in workflow["jobs"]["gate"]["steps"]}
    # On main it is called, and has the event of the workflow that calls it.
    assert event in workflow[True] or (event == "push" and "workflow_call" in workflow[True])
    assert holds(named["Summary in the pull request"], event, head) is commented
    assert holds(named["Findings as code scanning alerts"], event, head, variable) is uploaded
    assert holds(workflow["concurrency"]["cancel-in-progress"], event, head) is cancelled


@pytest.mark.parametrize(
    ("seen_by", "variable", "uploaded", "told"),
    [
        ("public", "", True, False),
        ("private", "", False, True),
        ("private", "true", True, False),
        ("private", "false", False, False),
        # Some events may not say it.
        ("", "", False, True),
    ],
)
def test_a_private_repository_uploads_nothing_unless_it_has_code_scanning_and_says_so(
    generate, seen_by, variable, uploaded, told
):
    steps = yaml.safe_load((generate() / WORKFLOW).read_text())["jobs"]["gate"]["steps"]
    named = {each["name"]: each.get("if", "") for each in steps}
    upload, notice = named["Findings as code scanning alerts"], named["Why there are no code scanning alerts"]
    assert holds(upload, "push", "", variable, seen_by) is uploaded
    assert holds(notice, "push", "", variable, seen_by) is told
