"""What is a matter of taste or of the host is no dead end: the finding quotes the row for policy.yml.

With it pasted where the row says, the same change is clean.
"""

import pytest
import rows
from mutations import in_memory, read


@pytest.mark.parametrize("case", [each for each in read("harmless") if each.policy], ids=str)
def test_a_change_is_clean_once_the_rows_of_its_findings_are_in_policy_yml(judge, case):
    judge = judge(case.answers)
    texts, modes = in_memory(judge.base.root, case)
    assert rows.said(judge, texts, modes)
    assert rows.left(judge, texts, modes) == []
