"""How policies/ is built: a folder imports itself and what is shared, and no import goes in a circle."""

from __future__ import annotations

import ast

import pytest
from conftest import TEMPLATE

from policies.gate.loading import load
from policies.gate.run import FAMILIES

FOLDER = TEMPLATE / "policies"
FILES = {".".join(path.relative_to(TEMPLATE).with_suffix("").parts): path for path in FOLDER.rglob("*.py")}
KINDS = ("compose", "config", "dockerfile", "repository", "terraform", "workflows")
#: What the program loads when it runs, not when it is imported.
LOADED = ("rules",)


def imported(name):
    """Return the modules of ours that a module imports, inside of functions too; not for types only."""
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in types:
            for each in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                if each in FILES:
                    yield each


IMPORTS = {name: set(imported(name)) for name in FILES}


def test_no_import_goes_in_a_circle():
    order, seen = [], set()

    def visit(name, above):
        assert name not in above, " -> ".join((*above, name))
        if name not in seen:
            seen.add(name)
            for each in IMPORTS[name]:
                visit(each, (*above, name))
            order.append(name)

    for name in FILES:
        visit(name, ())
    assert len(order) == len(FILES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_imports_only_itself_and_the_shared_part(kind):
    allowed = (f"policies.{kind}.", "policies.shared.", "policies.model")
    own = [name for name in FILES if name.startswith(f"policies.{kind}.")]
    foreign = {(name, each) for name in own for each in IMPORTS[name] if not each.startswith(allowed)}
    assert foreign == set()


def test_a_kind_of_files_has_one_name_and_one_beginning_of_its_ids():
    beginnings = {(rule.family, rule.rule_id[:8]) for rule in load().values()}
    assert {family for family, _ in beginnings} == {*KINDS} == {*FAMILIES}
    assert len(beginnings) == len(KINDS)


def test_the_shared_part_imports_no_folder():
    own = [name for name in FILES if name.startswith("policies.shared.")]
    allowed = ("policies.shared", "policies.model")
    assert {(name, each) for name in own for each in IMPORTS[name] if not each.startswith(allowed)} == set()
