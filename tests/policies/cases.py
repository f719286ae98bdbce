"""The fixtures of every rule: small repositories that pass or fail, outside the folder that checkov loads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Fixture:
    """One small repository; `expected` has every place that must be found, as file:line."""

    rule: str
    name: str
    folder: Path
    expected: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rule}-{self.name}"


def fixtures() -> list[Fixture]:
    """Return every fixture there is."""
    found = []
    for folder in sorted(FOLDER.glob("*/*/")):
        listed = folder / "expected.yml"
        places = yaml.safe_load(listed.read_text(encoding="utf-8")) if listed.exists() else []
        found.append(Fixture(folder.parent.name, folder.name, folder, tuple(places or ())))
    return found
