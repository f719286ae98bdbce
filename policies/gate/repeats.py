"""One mistake, one finding: where a rule of ours speaks, a general check that says the same is left out."""

from __future__ import annotations

import posixpath
from functools import lru_cache
from pathlib import Path

import yaml

from policies.model import Finding

DATA = Path(__file__).parent.parent / "data" / "repeats.yml"


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    table = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return table["checkov"], table["schemas"]


def _folder(finding: Finding) -> str:
    return posixpath.dirname(finding.place.file)


def without_repeats(findings: list[Finding]) -> list[Finding]:
    """Return the findings without those that a rule of ours states as well."""
    checkov, schemas = _table()
    places = {(each.rule, _folder(each)) for each in findings}
    entities = {(each.rule, each.entity) for each in findings if each.entity}

    def repeated(finding: Finding) -> bool:
        return any((rule, _folder(finding)) in places for rule in checkov.get(finding.rule, ())) or any(
            (rule, finding.entity) in entities for rule in schemas.get(finding.rule, ())
        )

    return [each for each in findings if not repeated(each)]
