"""A service's checker runs without rights, and one that could not do its job never counts as satisfied.

The engine is a script here that notes what it is asked and answers as a test says; the real one is in
tests/stack/test_syntax_checkers.py.
"""

import pytest

from policies.gate.tools.services import SERVICES
from policies.shared import programs
from policies.shared.repository import Repository

ENGINE = """#!/bin/sh
echo "$*" >>"$0.asked"
case $1 in
  run) . "$0.answer" ;;
esac
"""
TOOLS = {tool.service: tool for tool in SERVICES}


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Return a function that says how `docker run` answers; what was asked stands in engine.asked."""
    program = tmp_path / "docker"
    program.write_text(ENGINE, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr("policies.gate.tools.services.program", lambda name: str(program))

    def answers(text):
        (tmp_path / "docker.answer").write_text(text + "\n", encoding="utf-8")

    answers.asked = lambda: (tmp_path / "docker.asked").read_text(encoding="utf-8").splitlines()
    return answers


def outcome(generate, service):
    """Return what the checker of a service says about the generated repository."""
    return TOOLS[service].run(Repository(generate()), {})


@pytest.mark.parametrize("service", TOOLS)
def test_a_checker_has_no_rights_no_network_and_writes_to_memory_only(generate, engine, service):
    engine("exit 0")
    assert outcome(generate, service).problems == []
    asked = next(line.split() for line in engine.asked() if line.startswith("run "))
    for word in (
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--read-only",
        "--network=none",
        "--rm",
    ):
        assert word in asked
    assert not [word for word in asked if word.startswith(("--privileged", "--device", "--pid="))]
    added = {word for word in asked if word.startswith("--cap-add")}
    assert added == ({"--cap-add=SYS_CHROOT"} if service == "dovecot" else set())
    mounts = [word for word in asked if word.startswith(("--mount", "--volume", "-v"))]
    assert mounts
    assert all(word.startswith("--mount=type=bind,") and word.endswith(",readonly") for word in mounts)
    assert [word for word in asked if word.startswith("--memory=")]
    assert [word for word in asked if word.startswith("--pids-limit=")]
    assert not any("docker.sock" in word for word in asked)


@pytest.mark.parametrize("service", TOOLS)
@pytest.mark.parametrize("code", [125, 126, 127, 137, 139])
def test_a_checker_that_did_not_end_by_itself_is_a_problem(generate, engine, service, code):
    engine(f"echo 'postconf: warning: x' >&2; echo 'nginx: [emerg] x' >&2; exit {code}")
    said = outcome(generate, service)
    assert said.findings == []
    assert [problem.kind for problem in said.problems] == ["tool-failed"]
    assert f"exit {code}: " in said.problems[0].what


@pytest.mark.parametrize("service", TOOLS)
def test_a_checker_that_fails_without_a_word_is_a_problem(generate, engine, service):
    engine("exit 3")
    said = outcome(generate, service)
    assert [problem.kind for problem in said.problems] == ["tool-failed"]


def test_a_checker_that_does_not_end_is_removed_and_is_a_problem(generate, engine, monkeypatch):
    monkeypatch.setattr(programs, "TIMEOUT", 0.5)
    engine("exec tail -f /dev/null")
    said = outcome(generate, "nginx")
    assert [problem.kind for problem in said.problems] == ["tool-failed"]
    assert "no answer" in said.problems[0].what
    run, removed = engine.asked()[-2:]
    name = next(word for word in run.split() if word.startswith("--name=")).removeprefix("--name=")
    assert removed == f"rm --force {name}"


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("nginx", 'nginx: [warn] conflicting server name "a" on 0.0.0.0:80, ignored'),
        ("dovecot", "doveconf: Warning: something is obsolete"),
        ("postfix", "postconf: warning: /etc/postfix/main.cf: unused parameter: a=b"),
        ("roundcube", "PHP:  syntax error in /usr/local/etc/php/conf.d/zzz-mailserver.ini on line 3"),
    ],
)
def test_a_warning_counts_although_the_checker_is_satisfied(generate, engine, service, said):
    engine(f"cat >&2 <<'END'\n{said}\nEND\nexit 0")
    assert len(outcome(generate, service).findings) == 1
