"""What mailctl tells a reader to type works as it stands: with its path, and it exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from walk import COMMANDS

import mailctl
from tests.places import PLATFORM

SOURCE = Path(mailctl.__file__).parent
MAKEFILES = sorted((PLATFORM / "make").glob("*.mk"))
TYPED = re.compile(r"(\S*\bmailctl) ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+))?")
# A lock and a test mail name the command that is at work; nobody types that.
NAMED = re.compile(r"(another |Test mail of |Canary of )?mailctl [a-z]+( check| run| is copying)?")
MADE = re.compile(r"\bmake ([a-z]+(?:-[a-z]+)*)")
WORDS = {words[0] for words in COMMANDS}
# In a message "make" is a word of English now and then.
ENGLISH = {"room", "it", "the", "a", "this", "for", "one", "sure", "is"}


def told() -> Iterator[tuple[str, str]]:
    """Each text that may reach a reader, with its place; docstrings are for those who read code."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        notes = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node.value


def test_a_command_of_mailctl_is_named_with_its_path_and_exists() -> None:
    wrong = []
    for place, text in told():
        for program, first, second in [] if NAMED.fullmatch(text) else TYPED.findall(text):
            if first not in WORDS:
                continue
            known = (first,) in COMMANDS or (first, second) in COMMANDS
            if not known or not program.endswith(".venv/bin/mailctl"):
                wrong.append(f"{place}: {program} {first} {second}")
    assert not wrong, "\n".join(wrong)


def test_a_target_of_make_that_is_named_exists() -> None:
    targets = set(
        re.findall(r"^([a-z][a-z-]*):", "".join(file.read_text("utf-8") for file in MAKEFILES), re.MULTILINE)
    )
    known = targets | ENGLISH
    wrong = [
        f"{place}: make {name}" for place, text in told() for name in MADE.findall(text) if name not in known
    ]
    assert not wrong, "\n".join(wrong)
