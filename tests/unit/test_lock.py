"""`make lock` compiles every requirements file there is, and says what it is before it does anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import lock
from tools.answers import ROOT


def test_every_requirements_file_is_compiled_by_make_lock():
    listed = subprocess.run(
        ["git", "ls-files", "*requirements*.in", "*requirements/*.in"],
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


def named(source: Path) -> set[str]:
    """The packages that a source names, and those of the sources that it includes."""
    found = set()
    for line in source.read_text(encoding="utf-8").splitlines():
        word, _, rest = line.partition(" ")
        if word == "-r":
            found |= named(source.parent / rest)
        elif match := re.match(r"[A-Za-z0-9][\w.-]*", line):
            found.add(match[0].lower().replace("_", "-"))
    return found


@pytest.mark.parametrize("each", lock.LOCKS, ids=lambda each: each.source)
def test_a_lock_file_has_whatever_its_source_asks_for_through_others_too(each):
    locked = re.findall(r"^([a-z0-9][a-z0-9.-]*)==", (ROOT / f"{each.source}.txt").read_text(), re.MULTILINE)
    assert named(ROOT / f"{each.source}.in") - set(locked) == set(), "make lock, or tools.lock --keep"
