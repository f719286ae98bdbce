"""The tables of Compose and of the services' settings: well formed rows, examples that break and keep them,
and entities that are single settings.
"""

import re

import pytest
from conftest import TEMPLATE
from mutations import _edited, read

from policies.compose import table as compose
from policies.config import commands
from policies.config import table as config
from policies.config.given import GIVEN
from policies.gate.loading import load
from policies.readers import Repository
from policies.shared import values
from policies.shared.rule import read as read_table

POLICY = (TEMPLATE / "{{cookiecutter.project_slug}}/policy.yml").read_text(encoding="utf-8")
RULES = load()
COMPOSE, COMMANDS = (
    {
        rule: row
        for rule, row in read_table(config.HERE.parent / kind / "rules.yml").items()
        if "demand" in row
    }
    for kind in ("compose", "config")
)
SETTINGS = {
    rule: (service, row)
    for service in GIVEN
    for rule, row in read_table(config.HERE / f"{service}.yml").items()
}
#: Where the example of a rule stands.
FILES = {
    "postfix": "config/postfix/main.cf",
    "dovecot": "config/dovecot/dovecot.conf",
    "nginx": "config/nginx/site.conf",
    "roundcube": "config/roundcube/mailserver.php",
    "mariadb": "config/mariadb/server.cnf",
    "valkey": "config/valkey/valkey.conf",
    "clamav": "config/clamav/clamd.conf",
    "rspamd": "config/rspamd/local.d/actions.conf",
    "radicale": "config/radicale/config",
    "MAIL_CFG_011": "config/rspamd/local.d/antivirus.conf",
    "MAIL_CFG_012": "config/rspamd/override.d/worker-controller.inc",
    "MAIL_CFG_013": "config/rspamd/local.d/worker-proxy.inc",
    "MAIL_CFG_014": "config/rspamd/local.d/classifier-bayes.conf",
}


def demands(table):
    for rule, row in table.items():
        listed = row["demand"] if isinstance(row["demand"], list) else [row["demand"]]
        yield from ((rule, demand) for demand in listed)


ROWS = [
    *((rule, demand, compose.WORDS) for rule, demand in demands(COMPOSE)),
    *((rule, demand, commands.WORDS) for rule, demand in demands(COMMANDS)),
    *(
        (rule, row, config.WORDS)
        for rule, demand in demands({rule: row for rule, (_, row) in SETTINGS.items()})
        for row in demand.values()
    ),
]


@pytest.mark.parametrize(
    ("rule", "row", "words"), ROWS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_row_demands_something_in_words_that_the_engine_knows(rule, row, words):
    """`should` goes on where the report says "should be"."""
    assert set(row) <= words
    assert set(row) & {
        "only",
        "never",
        "least",
        "most",
        "tls",
        "pinned",
        "absent",
        "required",
        "has",
        "when",
        "most_of",
    }
    assert not re.match(r"(?:leave|remove|write|see|run)\b", str(row.get("should", "")), re.IGNORECASE)
    for field in ("only", "never", "inside", "has", "unless"):
        re.compile(str(row.get(field, "")))


@pytest.mark.parametrize("rule", [*COMPOSE, *COMMANDS, *SETTINGS])
def test_the_bad_example_of_a_rule_breaks_it_and_the_good_one_does_not(tmp_path, rule):
    def broken(text):
        if rule in SETTINGS:
            file = FILES.get(rule, FILES[SETTINGS[rule][0]])
            text = f"<?php\n{text}" if file.endswith(".php") else text
        else:
            file = "docker-compose.yml" if rule in COMPOSE else "scripts/job.sh"
        scanned = "services:\n  clamav: {build: .}\n"
        repository = Repository(tmp_path, {"docker-compose.yml": scanned, file: text, "policy.yml": POLICY})
        found = {found.what for found in RULES[rule].findings(repository)}
        assert repository.problems == []
        return found

    bad, good = broken(RULES[rule].bad), broken(RULES[rule].good)
    # What a file of one line leaves out is missing in both.
    assert bad - good
    assert not good - bad


@pytest.mark.parametrize(
    ("row", "value", "wrong"),
    [
        ({"only": "yes"}, "YES", False),
        ({"only": "yes"}, "yes, perhaps", True),
        ({"never": "root"}, "my root", True),
        ({"never": "^/*$"}, "/srv", False),
        ({"least": 60}, "59", True),
        ({"least": 60}, "1 min", False),
        ({"least": 60, "unit": "s"}, "1m30s", False),
        ({"least": 60}, "soon", True),
        ({"least": 86400, "unit": "d"}, "1", False),
        ({"most": 1 << 20, "unit": "b"}, "2mb", True),
        ({"most": 1 << 20, "unit": "b"}, "1M", False),
        ({"tls": True}, "TLSv1, TLSv1.2", True),
        ({"tls": True}, ">=TLSv1.2", False),
        ({"pinned": True}, "nginx:1.30", True),
    ],
)
def test_a_value_is_judged_as_its_row_says(row, value, wrong):
    assert values.wrong(value, row) is wrong


def groups():
    """Yield rule and mutations that each add lines to a file: together they are many breaches of one rule."""
    found = {}
    for each in read("mutations"):
        [first, *more] = each.edits
        if "append" in first and not more and not each.answers and each.rule in (*SETTINGS, *COMPOSE):
            found.setdefault((each.rule, first["file"]), []).append(first)
    return [
        pytest.param(rule, file, edits, id=f"{rule}-{file}")
        for (rule, file), edits in found.items()
        if edits[1:]
    ]


@pytest.mark.parametrize(("rule", "file", "edits"), groups())
def test_a_waiver_of_one_setting_leaves_every_other_standing(generate, rule, file, edits):
    root = generate()
    text = (root / file).read_text(encoding="utf-8")
    for edit in edits:
        text = _edited(text, edit)
    found = list(RULES[rule].findings(Repository(root, {file: text})))
    assert len({each.entity for each in found}) > 1
    settings = {}
    for each in found:
        settings.setdefault(each.entity, set()).add(each.what.split(" is ")[0])
    assert [entity for entity, names in settings.items() if len(names) > 1] == []
