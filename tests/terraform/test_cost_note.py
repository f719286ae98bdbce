"""The figures of the cost note follow from its own prices and from what the module keeps."""

import re

import pytest
from equipment.template import ANSWERS, ROOT

DOCUMENTS = ROOT / "{{cookiecutter.project_slug}}" / "_docs"
NOTES = {
    language: (DOCUMENTS / language / "terraform" / "README.md").read_text().split(heading)[1]
    for language, heading in (("en", "## What it costs"), ("ja", "## 費用"))
}
PRICE = re.compile(r"^\| ([A-Z][\w ]+) \| ([\d.]+) \| ", re.MULTILINE)
ROW = re.compile(r"^\| (\d+) GB \| (.+) \|$", re.MULTILINE)
OBJECTS_A_GB = 100
DAYS_IN_STANDARD = 30


def prices(note: str) -> dict[str, float]:
    return {name: float(price) for name, price in PRICE.findall(note)}


def share_in_standard() -> float:
    """Of the days that a version is kept: until it expires, and as long as its lock once more."""
    lock = ANSWERS["object_lock_days"]
    return DAYS_IN_STANDARD / ((lock + 30) + lock)


def amounts(note: str, gigabytes: int) -> dict[str, float]:
    price, share = prices(note), share_in_standard()
    new_objects = gigabytes * OBJECTS_A_GB * share
    return {
        "STANDARD": gigabytes * share * price["STANDARD"],
        "STANDARD_IA": gigabytes * (1 - share) * price["STANDARD_IA"],
        "PUT requests": new_objects / 1000 * price["PUT requests"],
        "Transitions": new_objects / 1000 * price["Transitions"],
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


def test_the_note_tells_how_long_a_backup_is_kept() -> None:
    assert "90 days in all" in NOTES["en"] and "three times what is uploaded in a month" in NOTES["en"]
    assert "合計 90 日" in NOTES["ja"]
    assert share_in_standard() == pytest.approx(1 / 3)
