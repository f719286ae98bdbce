"""What is a matter of taste or of the host is no dead end: the finding quotes the row for policy.yml.

With it pasted where the row says, the same change is clean.
"""

import re

import pytest
from mutations import mutate, read

from policies.gate.loading import load
from policies.readers import Repository
from policies.shared.policy import FILE

RULES = [rule for rule in load().values() if rule.family in ("compose", "config", "workflows")]
WHERE = re.compile(
    r"# policy\.yml, (?:below line (?P<below>\d+)|in place of line (?P<instead>\d+)|at its end).*"
)


def pasted(text: str, row: str) -> str:
    """Return policy.yml with a row where its first line says."""
    place, *rows = row.splitlines()
    lines, at = text.splitlines(), WHERE.fullmatch(place)
    assert at, place
    number = int(at["below"] or at["instead"] or len(lines))
    lines[number - bool(at["instead"]) : number] = rows
    return "\n".join(lines) + "\n"


def findings(root):
    repository = Repository(root)
    return [each for rule in RULES for each in rule.findings(repository)]


@pytest.mark.parametrize("case", [each for each in read("harmless") if each.policy], ids=str)
def test_a_change_is_clean_once_the_rows_of_its_findings_are_in_policy_yml(tracked, case):
    mutate(tracked, case)
    path = tracked / FILE
    found = findings(tracked)
    assert found
    for _ in range(len(found)):
        row = next((each.row for each in found if each.row), "")
        assert row, [each.what for each in found]
        path.write_text(pasted(path.read_text(encoding="utf-8"), row), encoding="utf-8")
        if not (found := findings(tracked)):
            break
    assert [each.what for each in found] == []
