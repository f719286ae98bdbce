"""The tables of settings are well formed, and the engine that reads them judges as its rows say."""

import re
from pathlib import Path

import pytest

from policies.config import demands
from policies.config.demands import Given
from policies.model import Place
from policies.shared import tables

SERVICES = sorted(path.stem for path in (tables.FOLDER / "settings").glob("*.yml"))
ROWS = [
    (service, names, row)
    for service in SERVICES
    for names, row in tables.table(f"settings/{service}").items()
]
FIELDS = {"only", "never", "least", "most", "unit", "tls", "inside", "default", "why", "should"}
PLACE = Place("a.conf", 3)


def ids(value):
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("service", "names", "row"), ROWS, ids=ids)
def test_a_row_says_what_is_demanded_and_why_in_words_that_the_engine_knows(service, names, row):
    assert set(row) <= FIELDS
    assert set(row) & {"only", "never", "least", "most", "tls"}
    assert len(row["why"]) > 15
    assert names == names.lower(), "names are compared in small letters"
    for field in ("only", "never", "inside"):
        re.compile(str(row.get(field, "")))


@pytest.mark.parametrize("service", SERVICES)
def test_a_table_is_read_by_a_rule(service):
    rules = (Path(demands.__file__).parents[1] / "rules/configuration").glob("*.py")
    assert any(f'found("{service}"' in path.read_text(encoding="utf-8") for path in rules)


@pytest.mark.parametrize(
    ("row", "value", "inside", "wrong"),
    [
        ({"only": "yes"}, "YES", "", False),
        ({"only": "yes"}, "yes, perhaps", "", True),
        ({"never": "root"}, "my root", "", True),
        ({"never": "root"}, "nobody", "", False),
        ({"least": 60}, "59", "", True),
        ({"least": 60}, "1 min", "", False),
        ({"least": 60}, "soon", "", True),
        ({"least": 86400, "unit": "d"}, "1", "", False),
        ({"most": 1 << 20, "unit": "b"}, "2mb", "", True),
        ({"most": 1 << 20, "unit": "b"}, "1M", "", False),
        ({"tls": True}, "TLSv1, TLSv1.2", "", True),
        ({"tls": True}, ">=TLSv1.2", "", False),
        ({"only": "no", "inside": "^/server"}, "yes", "/http", False),
        ({"only": "no", "inside": "^/server"}, "yes", "/server/location", True),
    ],
)
def test_a_value_is_judged_as_its_row_says(monkeypatch, row, value, inside, wrong):
    monkeypatch.setattr(demands, "rows", lambda service: [(["a*"], {"why": "it is wrong", **row})])
    found = list(demands.found("any", [Given("Abc", value, PLACE, inside)]))
    assert bool(found) == wrong
    assert all(each.place == PLACE and "it is wrong" in each.what for each in found)


def test_what_is_missing_has_its_default_where_the_whole_file_is_judged(monkeypatch):
    row = {"why": "it is wrong", "only": "yes", "default": "no"}
    monkeypatch.setattr(demands, "rows", lambda service: [(["abc"], row)])
    assert list(demands.found("any", [])) == []
    assert [each.place for each in demands.found("any", [], PLACE)] == [PLACE]
    assert list(demands.found("any", [Given("abc", "yes", PLACE)], PLACE)) == []
