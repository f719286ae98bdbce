"""The example answers in tests/answers, good and bad, as data for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from tools import answers

FOLDER = answers.ROOT / "tests" / "answers"
# What a bad example says about plain cookiecutter when that differs from `make new`.
ACCEPTS, CANNOT_BE_TOLD = "accepts this", "cannot be told this"


@dataclass(frozen=True)
class BadAnswers:
    """One file of tests/answers/invalid."""

    name: str
    text: str
    expected: list[str]
    by_cookiecutter: str | list[str]

    @property
    def given(self) -> dict[str, object]:
        """Return the answers; Refusal if the text is none."""
        return answers.parse(self.text)


def good_files() -> dict[str, Path]:
    """Return the files of good answers by their names."""
    return {path.stem: path for path in sorted((FOLDER / "valid").glob("*.yml"))}


def _load(path: Path) -> BadAnswers:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    text = loaded["file"] if "file" in loaded else yaml.safe_dump(loaded["answers"], sort_keys=False)
    return BadAnswers(path.stem, text, loaded["expect"], loaded.get("cookiecutter", loaded["expect"]))


def bad_answers() -> list[BadAnswers]:
    """Return every bad example."""
    return [_load(path) for path in sorted((FOLDER / "invalid").glob("*.yml"))]
