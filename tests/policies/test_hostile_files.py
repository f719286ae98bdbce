"""A file made to harm: the gate answers in bounded time, with 2 and the file's name, and never with a pass.

Each repository is judged by the program itself, as `make check` runs it. HANGS is no measure of speed: it
only tells an answer from none, on a slow machine as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gate_run import git

from policies.gate import patience
from policies.gate.loading import load
from policies.gate.run import Report, run_rules
from policies.repository.tracked import added_lines, messages
from policies.shared import leaks
from policies.shared.limits import MOST_BYTES
from policies.shared.repository import Repository

TEMPLATE = Path(__file__).parents[2]
HANGS = 600
#: Seconds for one rule: enough for a machine that does something else as well.
LIMIT = "200"
KEY = "AKIA" + "IOSFODNN7EXAMPLE"
COMPOSE = "services: {}\n"


def judge(root: Path, files: dict[str, str | bytes], families: str = "") -> tuple[int, list[dict]]:
    """Write files, run the gate over them, and return its exit code and what it could not judge."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    command = [sys.executable, "-m", "policies", "check", str(root), "--json", f"--time-limit={LIMIT}"]
    command += [f"--families={families}"] if families else []
    # What is tested is the gate's own reading: no checker and no check of others.
    command.append("--only=MAIL")
    done = subprocess.run(command, cwd=TEMPLATE, capture_output=True, text=True, timeout=HANGS, check=False)
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout)["problems"]


def about(problems: list[dict], file: str) -> list[str]:
    """Return what is said about a file."""
    return [each["is"] for each in problems if each["file"] == file]


# ---- size


@pytest.mark.parametrize("name", ["notes.txt", "config/nginx/nginx.conf", "x.yml", "Dockerfile", "a.json"])
def test_a_text_above_the_limit_is_named_and_is_no_pass(tmp_path, name):
    code, problems = judge(tmp_path, {name: "a\n" * (MOST_BYTES // 2 + 1)}, "repository")
    assert code == 2
    assert any("larger than 5 MiB" in what for what in about(problems, name))


def test_a_picture_may_be_larger(tmp_path):
    picture = b"\x89PNG\r\n\x1a\n\0" + b"\x00\x01\x02 " * (MOST_BYTES // 3)
    _, problems = judge(tmp_path, {"logo.png": picture}, "repository")
    assert about(problems, "logo.png") == []


def test_a_text_that_is_called_a_picture_is_none(tmp_path):
    code, problems = judge(tmp_path, {"logo.png": "a\n" * MOST_BYTES}, "repository")
    assert code == 2
    assert about(problems, "logo.png")


def test_a_link_out_of_the_repository_is_not_followed(tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text(KEY)
    root = tmp_path / "root"
    root.mkdir()
    (root / "inside.txt").symlink_to(outside)
    assert Repository(root).text("inside.txt") == ""


# ---- time


@pytest.mark.parametrize(
    "unit", ["a", "=", '"', "-", "curl ", "mysql-", "$6$a", "://", "pass=", "QUFB", "' "]
)
@pytest.mark.parametrize("shape", ["one line", "many lines"])
def test_the_search_for_secrets_comes_to_an_end(tmp_path, unit, shape):
    """In hours instead of seconds, if an expression begins its run anew at each sign."""
    whole = unit + ("\n" if shape == "many lines" else "")
    text = (whole * (1_000_000 // len(whole))) + f"\n{KEY}\n"
    with patience.within(HANGS):
        found = leaks.in_text("config/a.conf", text)
    assert (text.count("\n"), "an AWS access key") in found


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "password = hunter2hunter2",
        "curl -u me:hunter2hunter2 x",
        "mysql -phunter2hunter2",
        "a://b:hunter2@c",
    ],
)
def test_a_secret_at_the_end_of_a_long_line_is_found(secret):
    assert leaks.in_text("config/a.conf", "lorem " * 9000 + secret)


def test_a_rule_that_does_not_end_is_stopped_and_named(tmp_path):
    loaded, report = load(), Report()
    rule = loaded.rules["MAIL_REP_003"]

    class Endless(type(rule)):
        def check(self, subject):
            subject.text("slow.txt")
            while True:
                try:
                    time.sleep(0.01)
                except Exception:  # noqa: S112 — what swallows every Exception must not swallow the stop
                    continue
            yield

    Endless.__name__ = "MAIL_REP_003"
    (tmp_path / "slow.txt").write_text("x")
    run_rules(Repository(tmp_path), [Endless(), loaded.rules["MAIL_REP_002"]], loaded, report, time_limit=0.5)
    [problem] = report.problems
    assert (problem.kind, problem.place.file) == ("took-too-long", "slow.txt")
    assert "MAIL_REP_003" in problem.what
    assert "slow.txt" in problem.what
    assert report.ran == ["MAIL_REP_002"]
    assert report.exit_code == 2


@pytest.mark.parametrize("given", ["0", "-1", "soon"])
def test_a_time_limit_is_a_number_above_0(tmp_path, given):
    command = [sys.executable, "-m", "policies", "check", str(tmp_path), f"--time-limit={given}"]
    done = subprocess.run(command, cwd=TEMPLATE, capture_output=True, text=True, timeout=HANGS, check=False)
    assert done.returncode == 2
    assert "name a number of seconds above 0" in done.stderr


# ---- depth and growth

DEEP = 20_000
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


def doubled(pattern: str, times: int = 40) -> str:
    """Return lines of which each holds the one before twice; `{0}` is a number, `{1}` the one before."""
    return "".join(pattern.format(n, n - 1) for n in range(1, times))


#: Where, what, and a word of the answer.
HOSTILE = {
    "brackets in YAML": ("x.yml", "a: " + "[" * DEEP + "]" * DEEP, ""),
    "maps in a Compose file": ("compose.yml", "services: " + "{a: " * 150 + "}" * 150, "deep"),
    "aliases inside aliases": (".github/workflows/a.yml", BOMB, "too large"),
    "brackets in JSON": ("package.json", "[" * DEEP + "]" * DEEP, "deep"),
    "brackets in TOML": ("a.toml", "a = " + "[" * DEEP + "]" * DEEP, "deep"),
    "a number in JSON that has no end": ("a.json", "1" * 5000, ""),
    "brackets in Terraform": ("main.tf", "locals {\n a = " + "[" * DEEP + "]" * DEEP + "\n}\n", "deep"),
    "blocks in Terraform": ("main.tf", "a {\n" * DEEP + "}\n" * DEEP, "deep"),
    "texts in Terraform": ("main.tf", "locals {\n a = " + '"${' * 2000 + "1" + '}"' * 2000 + "\n}\n", "deep"),
    "a comment in Terraform without an end": ("main.tf", "/*a" * DEEP, "no end"),
    "brackets in tfvars.json": ("a.tfvars.json", '{"a":' + "[" * DEEP + "]" * DEEP + "}", "deep"),
    "blocks of nginx": ("config/nginx/nginx.conf", "a {\n" * DEEP + "}\n" * DEEP, "deep"),
    "blocks of Dovecot": ("config/dovecot/dovecot.conf", "a {\n" * DEEP + "}\n" * DEEP, "deep"),
    "blocks of rspamd": ("config/rspamd/local.d/antivirus.conf", "a {\n" * DEEP + "}\n" * DEEP, "deep"),
    "texts of rspamd without an end": ("config/rspamd/local.d/a.conf", "<<A\n" * DEEP, "no end"),
    "variables in variables": (
        "compose.yml",
        "services:\n  a:\n    image: " + "${A:-" * 5000 + "x" + "}" * 5000 + "\n",
        "deep",
    ),
    "variables that double": (".env.example", "V0=xxxxxxxx\n" + doubled("V{0}=${{V{1}}}${{V{1}}}\n"), "grow"),
    "arguments that double": (
        "Dockerfile",
        "FROM x\nARG V0=xxxxxxxx\n" + doubled("ARG V{0}=${{V{1}}}${{V{1}}}\n"),
        "grow",
    ),
    "parameters that double": (
        "config/postfix/main.cf",
        "v0 = xxxxxxxx\n"
        + doubled("v{0} = $v{1} $v{1} $v{1} $v{1} $v{1} $v{1} $v{1} $v{1}\n", 12)
        + "smtpd_relay_restrictions = $v11\nmynetworks = $v11\n",
        "grow",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_grows_without_end_is_named_and_is_no_pass(tmp_path, name):
    file, text, word = HOSTILE[name]
    code, problems = judge(tmp_path, {"docker-compose.yml": COMPOSE, file: text})
    assert code == 2
    assert [what for what in about(problems, file) if word in what], problems
    assert not [each for each in problems if each["kind"] in ("gate-failed", "took-too-long")], problems


#: Files that name each other, which of them is blamed, and a word of the answer.
CIRCLES = {
    "a file that includes itself": (
        {"compose.yml": "include: [compose.yml]\n"},
        "compose.yml",
        "includes itself",
    ),
    "two files that include each other": (
        {"compose.yml": "include: [b.yml]\n", "b.yml": "include: [compose.yml]\nservices: {}\n"},
        "compose.yml",
        "includes itself",
    ),
    "services that extend each other": (
        {"compose.yml": "services:\n  a: {extends: b}\n  b: {extends: a}\n"},
        "compose.yml",
        "extends itself",
    ),
    "files that are included twice by each": (
        {
            "compose.yml": "include: [i0.yml]\n",
            **{f"i{n}.yml": f"include: [i{n + 1}.yml, ./i{n + 1}.yml]\nservices: {{}}\n" for n in range(25)},
            "i25.yml": "services: {}\n",
        },
        "compose.yml",
        "more than 500 files",
    ),
    "a chain of services without end": (
        {
            "compose.yml": "services:\n"
            + "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(200))
            + "  s200: {image: x}\n"
        },
        "compose.yml",
        "more than 50 services",
    ),
}


@pytest.mark.parametrize("name", CIRCLES)
def test_files_that_name_each_other_without_end_are_no_pass(tmp_path, name):
    files, file, word = CIRCLES[name]
    code, problems = judge(tmp_path, files, "compose")
    assert code == 2
    assert [what for what in about(problems, file) if word in what], problems
    assert not [each for each in problems if each["kind"] != "not-looked-at"], problems


def test_modules_that_call_each_other_without_end_are_no_pass(tmp_path):
    calls = "".join(f'module "m{n}" {{\n  source = "../b"\n}}\n' for n in range(20))
    files = {"a/main.tf": calls, "b/main.tf": calls.replace("../b", "../c"), "c/main.tf": calls}
    code, problems = judge(tmp_path, files, "terraform")
    assert code == 2
    assert any("more than 500 modules" in each["is"] for each in problems)


# ---- git's history


def test_the_history_is_read_in_pieces(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "long.txt").write_text("a" * (MOST_BYTES + 10) + "\nshort\n")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "one\n\ntwo")
    git(tmp_path, "tag", "--annotate", "v1", "--message", "three")
    repository = Repository(tmp_path)
    lines = [(place.line, line[:5]) for _, place, line in added_lines(repository)]
    assert lines == [(1, "aaaaa"), (2, "short")]
    [problem] = repository.problems
    assert "a line that is longer than 5 MiB" in problem.what
    said = [(name.split()[0], line) for name, line in messages(repository)]
    assert said == [("commit", "one"), ("commit", "two"), ("tag", "three")]


def test_whoever_has_enough_of_the_history_leaves_no_git_behind(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.txt").write_text("a\n" * 200_000)
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    lines = added_lines(Repository(tmp_path))
    next(lines)
    lines.close()
    children = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    )
    assert str(tmp_path) not in children.stdout
