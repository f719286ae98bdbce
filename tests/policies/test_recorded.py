"""The record of reviewed scripts is that of the template's, and sees code only, but all of it."""

from pathlib import Path

import pytest

from policies.config import recorded
from policies.gate.loading import load
from policies.shared import tables
from policies.shared.repository import Repository

TEMPLATE = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
RECORDS = tables.table("recorded")
LUA = 'local a = "x" -- a note\nreturn a\n'
SIEVE = 'require "copy"; # a note\nkeep;\n'
SHELL = "#!/bin/sh\n# a note\nset -eu\ncat <<END\nx\nEND\n"


@pytest.mark.parametrize("file", RECORDS)
def test_the_record_is_of_the_template_s_script(file):
    kind = Repository(TEMPLATE).configuration.kinds[file]
    assert recorded.digest((TEMPLATE / file).read_text(encoding="utf-8"), kind) == RECORDS[file]["sha256"]


def test_each_record_belongs_to_a_rule_that_looks_at_it():
    assert {each["rule"] for each in RECORDS.values()} <= set(load().rules)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("lua", LUA, LUA.replace("a note", "another")),
        ("lua", LUA, "--[==[ a ]] ]==]\n\n" + LUA),
        ("sieve", SIEVE, "/* head */\n" + SIEVE.replace(" # a note", "")),
        ("script", SHELL, SHELL.replace("# a note", "  # another\n")),
        ("script", SHELL, SHELL + "# the end\n"),
    ],
)
def test_comments_and_blank_lines_are_no_code(kind, one, other):
    assert recorded.digest(one, kind) == recorded.digest(other, kind)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("lua", LUA, LUA.replace('"x"', '"x--"')),
        ("lua", LUA, LUA.replace('"x"', '"x  y"')),
        ("lua", 'a = "--"\n', 'a = "--" os.exit()\n'),
        ("lua", "a = [[--]]\n", "a = [[--]] os.exit()\n"),
        ("sieve", SIEVE, SIEVE.replace("keep", "discard")),
        ("sieve", 'keep "#";\n', 'keep "#"; discard;\n'),
        ("script", SHELL, SHELL.replace("x\n", "# $(id)\n")),
        ("script", SHELL, SHELL.replace("set -eu", "set -e")),
        ("script", "a \\\n b\n", "a \\\n# c\n b\n"),
    ],
)
def test_code_is_seen_wherever_it_stands(kind, one, other):
    assert recorded.digest(one, kind) != recorded.digest(other, kind)
