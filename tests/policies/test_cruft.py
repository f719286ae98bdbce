"""What a real `cruft create` writes into .cruft.json is judged like every other file."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import cruft
import pytest
from conftest import TEMPLATE

from policies.gate.check import Options, check, judge
from policies.gate.loading import load

PARTS = ("cookiecutter.json", "hooks", "schemas", "policies", "{{cookiecutter.project_slug}}")
MADE = shutil.ignore_patterns(".venv*", "__pycache__", "*.egg-info", "node_modules", ".*_cache")
ANSWERS = {
    "mail_domain": "acme.co.jp",
    "admin_email": "ada@acme.org",
    "relay": "ses",
    "object_lock_days": 90,
    "antivirus": False,
}


def commit(folder: Path) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    for words in (("init", "-q"), ("add", "--all", "--force"), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def created(tmp_path_factory) -> Path:
    """A repository that cruft made from a template in git, as somebody would have committed it."""
    folder = tmp_path_factory.mktemp("cruft")
    template = folder / "template"
    template.mkdir()
    for part in PARTS:
        source = TEMPLATE / part
        if source.is_dir():
            shutil.copytree(source, template / part, symlinks=True, ignore=MADE)
        else:
            shutil.copy2(source, template / part)
    commit(template)
    config = folder / "config.json"
    private = {"cookiecutters_dir": str(folder / "cache"), "replay_dir": str(folder / "replay")}
    config.write_text(json.dumps(private), encoding="utf-8")
    made = cruft.create(
        str(template), folder / "made", config_file=config, extra_context=ANSWERS, no_input=True
    )
    commit(made)
    return made


@pytest.fixture
def repository(created, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(created, tmp_path / "repository", symlinks=True))


def answer(root: Path, question: str, value: object) -> None:
    file = root / ".cruft.json"
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["context"]["cookiecutter"][question] != value
    kept["context"]["cookiecutter"][question] = value
    file.write_text(json.dumps(kept, indent=2), encoding="utf-8")


def test_a_repository_made_by_cruft_passes_the_whole_gate(created):
    report = judge(created, Options(), load(), tools=False).report
    assert [f"{each.rule} {each.place} {each.what}" for each in report.findings] == []
    assert report.problems == []
    assert "SCHEMA_ANSWERS" in report.ran


@pytest.mark.parametrize(
    ("question", "value", "should"),
    [
        ("relay", "sesame", "sendgrid, ses, smtp"),
        ("object_lock_days", "0", "at least 1"),
        ("mail_domain", "Acme", "domain"),
        ("antivirus", "maybe", "true or false"),
    ],
)
def test_a_stored_answer_that_is_wrong_is_found_with_its_line(repository, question, value, should):
    answer(repository, question, value)
    line = next(
        number
        for number, text in enumerate((repository / ".cruft.json").read_text().splitlines(), 1)
        if f'"{question}"' in text and "{{" not in text and str(value) in text
    )
    found = check(repository, Options(only=("SCHEMA_ANSWERS",))).report.findings
    assert [(str(each.place), question in each.what) for each in found] == [(f".cruft.json:{line}", True)]
    assert should in found[0].should


def test_a_secret_among_the_stored_answers_is_found(repository):
    kept = json.loads((repository / ".cruft.json").read_text(encoding="utf-8"))
    kept["context"]["cookiecutter"]["relay_password"] = (
        "SG." + "a1B2c3D4e5F6g7H8i9J0kL" + "." + "x" * 10 + "Y9z8" * 8
    )
    (repository / ".cruft.json").write_text(json.dumps(kept, indent=2), encoding="utf-8")
    report = judge(repository, Options(), load(), tools=False).report
    assert {"MAIL_REP_003"} <= {each.rule for each in report.findings}
