"""Every reason for which the gate ends with 2, each with the whole of what it says."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import pytest
from conftest import TEMPLATE
from test_exit_codes import rule

from policies.gate.check import Options, check
from policies.gate.cli import main
from policies.gate.tools import Outcome, Tool
from policies.model import Place

TODAY = datetime.date(2027, 1, 15)
WAIVER = {
    "rule": "MAIL_REP_001",
    "place": ".gitignore",
    "reason": "Keys of the test authority are public on purpose.",
    "owner": "admin",
    "expires": "2027-01-31",
}
#: How the kinds of reasons are written in the code.
KIND = re.compile(r'"((?:policy|gate|tool|waiver|nothing|not|inline)-[a-z-]+|unreadable)"')


def write(file: str, text: str):
    """Return a change of a repository: a file with a text."""

    def change(root: Path, rules: Path, patch: pytest.MonkeyPatch) -> None:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)

    return change


def waived(*changes: dict):
    return write("policy.yml", json.dumps({"waivers": [WAIVER | each for each in changes]}))


def policy(body: str = "return iter(())", **more: str):
    """Return a change of the rules: one more of them."""

    def change(root: Path, rules: Path, patch: pytest.MonkeyPatch) -> None:
        rule(rules, body=body)
        for name, text in more.items():
            (rules / f"{name}.py").write_text(text)

    return change


def two_of_one_id(root: Path, rules: Path, patch: pytest.MonkeyPatch) -> None:
    rule(rules)
    rule(rules, file="mail_rep_900_twice.py")


def promised(root: Path, rules: Path, patch: pytest.MonkeyPatch) -> None:
    rule(rules)
    (rules.parent.parent / "RULES.md").write_text("### MAIL_REP_901\n")


def broken_gate(root: Path, rules: Path, patch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments):
        raise RuntimeError("no idea")

    patch.setattr("policies.gate.coverage.links", broken)


def no_docker(root: Path, rules: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("policies.gate.tools.orchestration.program", lambda name: None)


def silent_shellcheck(root: Path, rules: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("policies.gate.tools.linters.program", lambda name: "true")


def without(folder: str):
    def change(root: Path, rules: Path, patch: pytest.MonkeyPatch) -> None:
        (root / folder).rename(root.parent / "elsewhere")

    return change


#: The reason: what brings it about, how the gate is run, and the kind, the place, what is wrong, what to do.
REASONS = {
    "a policy raises": (
        policy("raise KeyError('shape')"), {"rules": True, "only": ()},
        ("policy-raised", "policies/repository/rules/mail_rep_900_test.py:15",
         "MAIL_REP_900 raised KeyError: 'shape'", "mend the policy: it must cope with any shape"),
    ),
    "a policy does not load": (
        policy(mail_rep_901_more="import nothing_of_the_kind\n"), {"rules": True, "only": ()},
        ("policy-broken", "policies/repository/rules/mail_rep_901_more.py:1",
         "it does not load: ModuleNotFoundError: No module named 'nothing_of_the_kind'", "mend the file"),
    ),
    "a policy is no Python": (
        policy(mail_rep_901_more="\ndef broken(:\n"), {"rules": True, "only": ()},
        ("policy-broken", "policies/repository/rules/mail_rep_901_more.py:2",
         "it does not load: SyntaxError: invalid syntax (mail_rep_901_more.py, line 2)", "mend the file"),
    ),
    "a policy without a rule": (
        policy(mail_rep_901_more="check = None\n"), {"rules": True, "only": ()},
        ("policy-broken", "policies/repository/rules/mail_rep_901_more.py:1", "it holds no rule",
         "end it with: check = MAIL_…()"),
    ),
    "two policies of one id": (
        two_of_one_id, {"rules": True, "only": ()},
        ("policy-broken", "policies/repository/rules/mail_rep_900_twice.py:1",
         "MAIL_REP_900 is taken by mail_rep_900_test.py", "take the next free number"),
    ),
    "a policy is gone": (
        promised, {"rules": True, "only": ()},
        ("policy-missing", "policies/RULES.md:1", "MAIL_REP_901 is gone, though this page promises it",
         "restore it, or make policies-docs"),
    ),
    "the gate fails itself": (
        broken_gate, {},
        ("gate-failed", None, "coverage: RuntimeError: no idea", "mend the gate: this is its own mistake"),
    ),
    "a file does not parse": (
        write("deploy/my settings.yml", "a: 1\nb: [\n"), {},
        ("unreadable", "deploy/my settings.yml:3", "did not find expected node content",
         "write it as valid YAML"),
    ),
    "nothing knows a file": (
        write("config/new/thing.conf", "a = b\n"), {},
        ("not-looked-at", "config/new/thing.conf:1", "nothing here knows this kind of configuration file",
         "say what it is in policies/data/configuration.yml, such as config/new/thing.conf: text"),
    ),
    "a kind of file is gone": (
        without("terraform"), {},
        ("nothing-to-look-at", ".:1",
         "there is not one file of the kind terraform: a folder with .tf files",
         "run the gate in the repository's root, or name the kinds to check with --families"),
    ),
    "a comment switches a check off": (
        write("terraform/s3-backup/more.tf", "# checkov:skip=CKV_AWS_1:no\n"), {},
        ("inline-skip", "terraform/s3-backup/more.tf:1", "a comment switches a check of checkov off",
         "remove it; if it must be, write a waiver with reason and end in policy.yml"),
    ),
    "a settings file by which a checker looks away": (
        write(".shellcheckrc", "disable=all\n"), {},
        ("inline-skip", ".shellcheckrc:1", "a settings file by which shellcheck may look away",
         "remove it; if it must be, write a waiver with reason and end in policy.yml"),
    ),
    "a waiver without a reason": (
        waived({"reason": "because"}), {},
        ("waiver-invalid", "policy.yml:1", 'waivers[0].reason is "because"',
         "a sentence of at least 20 letters"),
    ),
    "a waiver of no rule": (
        waived({"rule": "FOO_BAR"}), {},
        ("waiver-unknown", "policy.yml:1", "there is no rule FOO_BAR", "--list names them"),
    ),
    "a waiver of nothing": (
        waived({}), {},
        ("waiver-unused", "policy.yml:1", "nothing to waive: MAIL_REP_001 at .gitignore",
         "remove the waiver"),
    ),
    "a waiver that has ended": (
        waived({"expires": "2027-01-14"}), {},
        ("waiver-expired", "policy.yml:1",
         "the waiver of MAIL_REP_001 at .gitignore ended on 2027-01-14",
         "mend the finding, or decide anew with a new end"),
    ),
    "a waiver for too long": (
        waived({"expires": "2099-01-01"}), {},
        ("waiver-too-long", "policy.yml:1",
         "the waiver of MAIL_REP_001 at .gitignore ends on 2099-01-01, more than a year ahead",
         "name a day up to 2028-01-16; then somebody decides anew"),
    ),
    "two waivers of one place": (
        waived({"rule": "MAIL_CMP_001"}, {"rule": "MAIL_CMP_001"}), {},
        ("waiver-twice", "policy.yml:1", "MAIL_CMP_001 at .gitignore is waived in line 1 already",
         "keep one of the two"),
    ),
    "a checker is not at hand where all are required": (
        no_docker, {"only": ("SYNTAX_COMPOSE",), "require_tools": True},
        ("tool-missing", ".:1", "docker compose config: docker compose is not installed",
         "install it, or pull or build the image"),
    ),
    "a checker says nothing": (
        silent_shellcheck, {"only": ("SHELLCHECK",)},
        ("tool-failed", ".:1", "shellcheck: no answer", "run it by hand to see what it lacks"),
    ),
    "nothing ran": (
        no_docker, {"only": ("SYNTAX_COMPOSE",)},
        ("nothing-ran", ".:1", "not one rule or checker ran: nothing is known",
         "get what is missing, or name other rules; silence of a rule that did not run is no pass"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "options", "told"), REASONS.values(), ids=list(REASONS))
def test_the_gate_ends_with_two_and_says_why(repository, tmp_path, monkeypatch, change, options, told):
    rules = tmp_path / "pack" / "policies" / "rules"
    rules.mkdir(parents=True)
    change(repository, rules, monkeypatch)
    given = {"only": ("MAIL_REP_001",), "today": TODAY} | options
    given |= {"rules": rules} if options.get("rules") else {}
    report = check(repository, Options(**given)).report
    kind, place, what, fix = told
    assert report.exit_code == 2
    assert (kind, what, fix) in [(each.kind, each.what, each.fix) for each in report.problems]
    found = next(each for each in report.problems if (each.kind, each.what) == (kind, what))
    assert place in (None, str(found.place))


def test_there_is_no_other_reason():
    code = "\n".join(file.read_text(encoding="utf-8") for file in (TEMPLATE / "policies").rglob("*.py"))
    assert set(KIND.findall(code)) == {told[0] for _, _, told in REASONS.values()}


def test_a_mistake_of_the_gate_itself_is_two_as_well_and_no_command(repository, monkeypatch, capsys):
    def broken(*_arguments):
        raise RuntimeError("no idea\n::error::x")

    monkeypatch.setattr("policies.gate.check.judge", broken)
    assert main(["check", str(repository)]) == 2
    said = capsys.readouterr().err
    assert "gate: it failed and knows nothing" in said and "RuntimeError: no idea" in said
    assert "::error" not in said and "line " in said


class Odd(Tool):
    """A checker that says what a test wants."""

    rule, title = "SHELLCHECK", "odd"

    def __init__(self, answer):
        self.answer = answer

    def needed(self, repository):
        return True

    def run(self, repository, settings):
        return self.answer(self, repository)


def test_a_checker_that_raises_anything_is_a_problem(repository, monkeypatch):
    def answer(tool, repository):
        raise UnicodeDecodeError("utf-8", b"x", 0, 1, "no" + " way" * 400)

    monkeypatch.setattr("policies.gate.check.TOOLS", (Odd(answer),))
    [problem] = check(repository, Options(only=("SHELLCHECK",))).report.problems
    assert problem.kind == "tool-failed" and problem.what.startswith("odd: UnicodeDecodeError")
    assert len(problem.what) < 450


def test_no_finding_of_a_checker_names_the_folder_of_this_machine(repository, monkeypatch):
    def answer(tool, repository):
        return Outcome([tool.finding(Place("a.yml"), f"validating {repository.root}/a.yml: wrong")])

    monkeypatch.setattr("policies.gate.check.TOOLS", (Odd(answer),))
    [found] = check(repository, Options(only=("SHELLCHECK",))).report.findings
    assert found.what == "validating a.yml: wrong"
