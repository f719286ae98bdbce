"""A capability imports what is shared and what others offer, never another capability's insides."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import mailctl

ROOT = Path(mailctl.__file__).parent
CAPABILITIES = {folder.name for folder in ROOT.iterdir() if (folder / "cli.py").exists()}


class Import(NamedTuple):
    """An import of a module of a capability by a file that is none of it."""

    place: str
    capability: str
    module: str


def offered(capability: str) -> tuple[str, ...]:
    """The modules that others may import, as the capability's folder says."""
    return getattr(import_module(f"mailctl.{capability}"), "PUBLIC", ())


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """What a file imports, each as line and `mailctl.folder.module.name`; inside functions too."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def crossings() -> Iterator[Import]:
    """Every import over a border."""
    for file in sorted(ROOT.rglob("*.py")):
        own = file.relative_to(ROOT).parts[0]
        for line, name in imports(file):
            package, capability, module, *_ = [*name.split("."), "", ""]
            there = ROOT / capability / module
            is_module = module and (there.is_dir() or there.with_suffix(".py").exists())
            if package == "mailctl" and capability in CAPABILITIES - {own} and is_module:
                yield Import(f"{file.relative_to(ROOT.parent)}:{line}", capability, module)


def test_no_capability_imports_another_s_insides() -> None:
    inside = [
        f"{found.place} imports mailctl.{found.capability}.{found.module}, which is the insides of "
        f"{found.capability}: move what both need below mailctl/, or offer it in PUBLIC of its __init__.py"
        for found in crossings()
        if found.module not in offered(found.capability)
    ]
    assert not inside, "\n".join(inside)


def test_what_is_offered_is_there_and_used_by_others() -> None:
    used = {(found.capability, found.module) for found in crossings()}
    assert {(name, module) for name in CAPABILITIES for module in offered(name)} == used
