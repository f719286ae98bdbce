"""The figures of the cost note follow from its own prices."""

import re

import pytest
from equipment.template import ROOT

DOCUMENTS = ROOT / "{{cookiecutter.project_slug}}" / "_docs"
NOTES = {
    language: (DOCUMENTS / language / "terraform" / "README.md").read_text().split(heading)[1]
    for language, heading in (("en", "## What it costs"), ("ja", "## 費用"))
}
PRICE = re.compile(r"^\| ([A-Z][\w ]+) \| ([\d.]+) \| ", re.MULTILINE)
ROW = re.compile(r"^\| (\d+) GB \| (.+) \|$", re.MULTILINE)
NEW_IN_A_MONTH, PACKS_A_MONTH = 0.04, 200


def prices(note: str) -> dict[str, float]:
    return {name: float(price) for name, price in PRICE.findall(note)}


def amounts(note: str, gigabytes: int) -> dict[str, float]:
    """In a month: what came within it is in STANDARD, the rest in STANDARD_IA; the drill reads that back."""
    price, new = prices(note), gigabytes * NEW_IN_A_MONTH
    return {
        "STANDARD": new * price["STANDARD"],
        "STANDARD_IA": (gigabytes - new) * price["STANDARD_IA"],
        "Drill": (gigabytes - new) * price["Drill"],
        "PUT requests": PACKS_A_MONTH / 1000 * price["PUT requests"],
        "Transitions": PACKS_A_MONTH / 1000 * price["Transitions"],
        "Alarm": price["Alarm"],
    }


@pytest.mark.parametrize("language", NOTES)
@pytest.mark.parametrize("gigabytes", [10, 100])
def test_every_figure_of_the_table_is_what_the_arithmetic_gives(language: str, gigabytes: int) -> None:
    note = NOTES[language]
    rows = {int(size): cells.split(" | ") for size, cells in ROW.findall(note)}
    *parts, total = rows[gigabytes]
    expected = amounts(note, gigabytes)
    assert [float(part.split("=")[-1]) for part in parts] == pytest.approx(
        [round(amount, 3) for amount in expected.values()]
    )
    assert float(total) == pytest.approx(round(sum(expected.values()), 2))
