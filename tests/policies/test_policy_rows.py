"""What is a matter of taste or of the host is no dead end: the finding quotes the row for policy.yml.

With it pasted where the row says, the same change is clean. What operators do in an ordinary week needs few.
"""

import json
from collections import Counter

import pytest
import rows
from conftest import TEMPLATE
from mutations import in_memory, read

from policies.config.given import GIVEN
from policies.config.table import HERE
from policies.shared.located import sequence
from policies.shared.rule import read as table

HARMLESS = read("harmless")
WITH_ROW = [each for each in HARMLESS if each.policy]
ORDINARY = [each for each in HARMLESS if each.id.startswith("operator, ")]
#: How many ordinary edits pass without a row, in hundredths, and how many there are.
AT_ONCE, FEWEST, EACH = 95, 150, 5
#: What an operator owns, by the beginning of the path.
OWNED = ("docker-compose", "config/", "terraform/", "edge/", ".github/")
#: What no finding asks about: an operator writes it for a new service, or the answers decide.
SERVICE = ("root", "init", "stop_grace", "after")
BY_HAND = {*(f"services.{each}" for each in SERVICE)}
BY_HAND |= {"networks.no_masquerade", "volumes.empty_in", "workflows.environments"}
SCHEMA = json.loads((TEMPLATE / "schemas/policy.schema.json").read_text(encoding="utf-8"))["properties"]


def decisions():
    """Return every decision that the schema of policy.yml knows; waivers are none."""
    for section, about in SCHEMA.items():
        inner = about.get("properties") or about.get("additionalProperties", {}).get("properties", {})
        if section != "waivers":
            yield from (f"{section}.{name}" for name in inner) if inner else [section]


@pytest.mark.parametrize("case", WITH_ROW, ids=str)
def test_a_change_is_clean_once_the_rows_of_its_findings_are_in_policy_yml(judge, case):
    judge = judge(case.answers)
    texts, modes = in_memory(judge.base.root, case)
    found = rows.said(judge, texts, modes)
    assert any(each.row for each in found)
    assert rows.left(judge, texts, modes, found) == ([], {*case.policy})


def test_every_decision_that_a_finding_can_ask_for_is_among_them():
    assert {each for case in WITH_ROW for each in case.policy} == {*decisions()} - BY_HAND


def test_every_setting_that_is_a_matter_of_the_host_is_among_them():
    """Of each row of a table with `host: true` at least one setting is pasted."""
    named = " ".join(str(edit) for case in WITH_ROW for edit in case.edits).lower()
    for service in GIVEN:
        for rule in table(HERE / f"{service}.yml").values():
            for demand in sequence(rule["demand"]) or [rule["demand"]]:
                for names in (names for names, row in demand.items() if row.get("host")):
                    assert any(name in named for name in names.lower().split(", ")), names


def test_of_ordinary_edits_nearly_all_pass_without_a_row():
    at_once = [each for each in ORDINARY if not each.policy]
    assert len(ORDINARY) >= FEWEST and 100 * len(at_once) >= AT_ONCE * len(ORDINARY)
    kinds = Counter(kind for each in ORDINARY for kind in OWNED if each.edits[0]["file"].startswith(kind))
    assert {kind: number for kind, number in kinds.items() if number >= EACH}.keys() == {*OWNED}
