"""A run is remembered only as long as nothing changed that could change it: no finding hides in the cache."""

from __future__ import annotations

import datetime
import os
import shutil
from dataclasses import replace

import pytest
from gate_run import git

from policies.gate import check, state
from policies.gate.run import Options, Report, Result
from policies.model import Place, Problem
from policies.shared import cache

ONLY = ("MAIL_REP_001", "MAIL_REP_003", "MAIL_REP_006", "SCHEMA_POLICY")
FAMILIES = ("repository",)
OPTIONS = Options(only=ONLY, families=FAMILIES, today=datetime.date(2027, 1, 15))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")


@pytest.fixture
def tracked(generate, tmp_path):
    """A few files of a generated repository in git: how many there are makes no difference."""
    root = tmp_path / "repository"
    root.mkdir()
    for file in ("README.md", ".gitignore", "policy.yml"):
        shutil.copy2(generate() / file, root / file)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    for words in ("init --quiet", "add --all", "commit --quiet --message generated"):
        git(root, *words.split())
    return root


@pytest.fixture
def runs(tracked):
    """Return a function that runs the gate and tells how often it really did."""
    made = []

    def judged(options):
        made.append(1)
        return check.check(tracked, options)

    def run(options=OPTIONS):
        before = len(made)
        report = state.remembered(tracked, options, lambda: judged(options)).report
        return report, len(made) - before

    return run


def test_the_second_run_over_the_same_is_remembered(runs, monkeypatch):
    # Others on this machine, such as our own tests, may be building images between two runs.
    monkeypatch.setattr(state, "DOCKER", ())
    first, second = runs(), runs()
    assert (first[1], second[1]) == (1, 0)
    assert first[0] == second[0]


CHANGES = {
    "a tracked file": lambda root: (root / "README.md").write_text("password = hunter2hunter2\n"),
    "a new file": lambda root: (root / "notes.txt").write_text("AKIAQZ7MNB3XW5T2KLPD\n"),
    "the mode of a script": lambda root: (root / "run.sh").chmod(0o600),
    "an ignored file": lambda root: (root / ".env").write_text("TZ=UTC\n"),
    "a decision": lambda root: (root / "policy.yml").write_text("waivers: []\n"),
    "a link": lambda root: (root / "more").symlink_to("/etc/hostname"),
    "the history": lambda root: git(root, "commit", "--quiet", "--allow-empty", "--message", "second"),
    "a branch": lambda root: git(root, "branch", "other"),
    "the index": lambda root: git(root, "rm", "--quiet", "--cached", "README.md"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_judged_again(runs, tracked, change):
    runs()
    change(tracked)
    assert runs()[1] == 1


def test_another_day_another_rule_and_another_image_are_judged_again(runs):
    runs()
    tomorrow = OPTIONS.today + datetime.timedelta(days=1)
    for changed in ({"today": tomorrow}, {"only": ONLY[:1]}, {"images": {"nginx": "nginx:1"}}):
        assert runs(replace(OPTIONS, **changed))[1] == 1


def test_a_program_that_was_installed_meanwhile_is_asked(runs, tmp_path, monkeypatch):
    runs()
    program = tmp_path / "terraform"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert runs()[1] == 1


def test_another_gate_judges_again(runs, monkeypatch):
    runs()
    monkeypatch.setattr(cache, "gate", lambda: "another one")
    assert runs()[1] == 1


def test_an_image_that_came_meanwhile_is_asked(runs, tmp_path, monkeypatch):
    docker = tmp_path / "docker"
    monkeypatch.setattr(state, "PROGRAMS", ())
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    asked = []
    for images in ("nginx:1", "nginx:1", "nginx:2"):
        docker.write_text(f"#!/bin/sh\necho {images}\n")
        docker.chmod(0o755)
        asked.append(runs()[1])
    assert asked == [1, 0, 1]


def test_a_run_that_could_not_do_its_job_is_never_remembered(tracked):
    problem = Problem("tool-failed", Place("."), "no answer", "try again")
    calls = []
    for _ in range(2):
        state.remembered(tracked, OPTIONS, lambda: calls.append(1) or Result(Report(problems=[problem]), {}))
    assert len(calls) == 2


def test_what_changes_during_a_run_is_not_remembered(tracked):
    def judged():
        (tracked / "README.md").write_text("changed while the gate was looking\n")
        return Result(Report(), {})

    state.remembered(tracked, OPTIONS, judged)
    calls = []
    state.remembered(tracked, OPTIONS, lambda: calls.append(1) or Result(Report(), {}))
    assert calls


def test_where_git_reads_nothing_its_own_words_say_why(runs, tracked):
    (tracked / ".git/HEAD").write_text("damaged")
    with pytest.raises(ValueError, match="not a git repository"):
        runs()


def test_a_damaged_entry_is_computed_again(runs, tmp_path):
    runs()
    for entry in (tmp_path / "cache").iterdir():
        entry.write_bytes(b"no pickle")
    assert runs()[1] == 1


def test_a_secret_in_an_old_commit_is_found_again_from_memory_and_a_new_one_too(tracked):
    rule = replace(OPTIONS, only=("MAIL_REP_003",))
    for key in ("AKIAQZ7MNB3XW5T2KLPD", "AKIAQZ7MNB3XW5T2KLPE"):
        (tracked / "notes.txt").write_text(f"{key}\n")
        git(tracked, "add", "--all")
        git(tracked, "commit", "--quiet", "--message", "a key")
        (tracked / "notes.txt").unlink()
        git(tracked, "commit", "--quiet", "--all", "--message", "gone")
        check.check(tracked, rule)
    found = check.check(tracked, rule).report.findings
    assert len({each.what for each in found}) == 2
    git(tracked, "reset", "--quiet", "--hard", "HEAD~2")
    assert len(check.check(tracked, rule).report.findings) == 1
