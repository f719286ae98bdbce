"""`make lock` compiles every requirements file there is, and says what it is before it does anything."""

import subprocess
import sys

import pytest

from tools import lock
from tools.answers import ROOT


def test_every_requirements_file_is_compiled_by_make_lock():
    listed = subprocess.run(
        ["git", "ls-files", "*requirements*.in", "requirements/*.in"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    assert {f"{each.source}.in" for each in lock.LOCKS} == set(filter(None, listed))


@pytest.mark.parametrize("each", lock.LOCKS, ids=lambda each: each.source)
def test_a_file_and_the_one_whose_versions_it_shares_are_there(each):
    assert (ROOT / f"{each.source}.txt").is_file()
    assert not each.like or (ROOT / each.like).is_file()


@pytest.mark.parametrize("each", lock.LOCKS, ids=lambda each: each.source)
def test_a_lock_file_names_no_folder_of_the_machine_that_made_it(each):
    text = (ROOT / f"{each.source}.txt").read_text(encoding="utf-8")
    assert not [line for line in text.splitlines() if " /" in line]


def test_asking_for_help_compiles_nothing(monkeypatch, capsys):
    monkeypatch.setattr(lock, "compile_one", lambda *_: pytest.fail("compiled"))
    with pytest.raises(SystemExit) as left:
        lock.main(["--help"])
    assert left.value.code == 0 and "--keep" in capsys.readouterr().out


def test_a_mistyped_option_compiles_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "tools.lock", "--kep"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "--kep" in done.stderr
