"""Bad answers are refused with their reason, whichever way they come in, and nothing is left on disk."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from cookiecutter.cli import main as cookiecutter_cli

from tests.generation.fixtures import ACCEPTS, CANNOT_BE_TOLD, bad_answers, good_files
from tests.generation.generate import config_file
from tools import answers, new

BAD = bad_answers()
TO_COOKIECUTTER = [bad for bad in BAD if bad.by_cookiecutter != CANNOT_BE_TOLD]


def names(examples):
    return [example.name for example in examples]


def tree(folder):
    """Return everything that a folder holds, also empty folders."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_there_are_at_least_sixty_bad_examples():
    assert len(BAD) >= 60


@pytest.mark.parametrize("bad", BAD, ids=names(BAD))
def test_the_validator_says_exactly_what_is_wrong(bad):
    try:
        said = [str(problem) for problem in answers.problems(bad.given)]
    except answers.Refusal as refusal:
        said = [f"FILE: {refusal}"]
    assert said == bad.expected


@pytest.mark.parametrize("bad", BAD, ids=names(BAD))
def test_make_new_refuses(bad, tmp_path, capsys, monkeypatch):
    file, out = tmp_path / "answers.yml", tmp_path / "out" / "deep"
    file.write_text(bad.text, encoding="utf-8")
    before = tree(tmp_path)
    assert new.main(["--answers", str(file), "--out", str(out)]) == 1
    said = [line.strip() for line in capsys.readouterr().err.replace(str(file), "FILE").splitlines()]
    assert [line for line in said if line in bad.expected] == bad.expected
    assert said[-1] == "nothing was generated"
    assert len(said) <= len(bad.expected) + 2, "no more than a head line, the problems and the last line"
    assert tree(tmp_path) == before


@pytest.mark.parametrize("bad", TO_COOKIECUTTER, ids=names(TO_COOKIECUTTER))
def test_plain_cookiecutter_refuses(bad, tmp_path, capfd):
    out = tmp_path / "out"
    out.mkdir()
    config = config_file(tmp_path / "config")
    given = [f"{question}={answer}" for question, answer in bad.given.items()]
    arguments = ["--no-input", "--config-file", str(config), "--output-dir", str(out), str(answers.ROOT)]
    done = CliRunner().invoke(cookiecutter_cli, [*arguments, *given])
    if bad.by_cookiecutter == ACCEPTS:
        assert done.exit_code == 0, "the example says that cookiecutter cannot see this mistake"
        return
    said = capfd.readouterr().err + done.output + str(done.exception)
    assert done.exit_code == 1
    assert [text for text in bad.by_cookiecutter if text not in said] == []
    assert tree(out) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config", "out"]


def test_the_hook_ends_its_block_with_what_happened(tmp_path):
    config = config_file(tmp_path / "config")
    arguments = ["--no-input", "--config-file", str(config), "--output-dir", str(tmp_path / "out")]
    command = [sys.executable, "-m", "cookiecutter", *arguments, str(answers.ROOT), "ssd_path=/etc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    start = lines.index("1 answer is wrong:")
    assert lines[start + 1].startswith("  ssd_path: '/etc' is wrong because ")
    assert lines[start + 2] == "nothing was generated"


@pytest.mark.parametrize("kept", ["neighbour", "acme/neighbour"])
def test_a_refusal_leaves_what_was_there_before(kept, tmp_path):
    out = tmp_path / "out"
    (out / kept).mkdir(parents=True)
    (out / kept / "file").write_text("mine", encoding="utf-8")
    config = config_file(tmp_path / "config")
    arguments = ["--no-input", "--config-file", str(config), "--output-dir", str(out), str(answers.ROOT)]
    done = CliRunner().invoke(cookiecutter_cli, [*arguments, "project_slug=acme/mail"])
    assert done.exit_code == 1
    assert (out / kept / "file").read_text(encoding="utf-8") == "mine"
    assert not (out / "acme" / "mail").exists()


@pytest.mark.parametrize("path", good_files().values(), ids=list(good_files()))
def test_good_examples_are_accepted(path):
    given = answers.read(path)
    assert answers.problems(given) == []
    full = answers.complete(given)
    assert list(full) == list(answers.questions())
    assert {question: full[question] for question in given} == answers.validator().normalise(given)


def test_the_validator_needs_nothing_but_the_standard_library():
    command = [
        sys.executable,
        "-S",
        "-c",
        "import runpy; runpy.run_path('hooks/pre_gen_project.py', run_name='x')",
    ]
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        command, cwd=answers.ROOT, env=environment, capture_output=True, check=False, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), "it loads without any package, as in a hook"
