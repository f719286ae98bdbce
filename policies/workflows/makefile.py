"""A Makefile as rules, assignments and directives, as GNU make reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MODIFIERS = r"(?P<modifiers>(?:(?:export|unexport|override|private)\s+)*)"
NAME = r"(?P<name>(?:\$\([^()]*\)|\$\{[^{}]*\}|[^\s:;#=+?!$]|\$[^({])+?)"
ASSIGNMENT = re.compile(rf"{MODIFIERS}{NAME}\s*(?P<sign>:{{0,3}}=|\?=|\+=|!=)\s*(?P<value>.*)")
CONDITION = re.compile(r"(ifn?eq|ifn?def|else|endif)(?: |$)")
DIRECTIVE = re.compile(
    r"(-?include|sinclude|export|unexport|override|undefine|define|endef|-?load|vpath|private)(?:\s|$)"
)

#: What a line that opens or closes a condition is as a directive.
CONDITION_WORD = "if"


@dataclass
class Rule:
    """A rule; `targets` and `needs` as they are written, `double` for `::` and `&:`."""

    line: int
    targets: str
    needs: str
    double: bool
    conditional: bool
    recipe: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Assignment:
    """A variable that is set; `targets` if it is for some targets only."""

    line: int
    name: str
    sign: str
    value: str
    modifiers: str
    conditional: bool
    targets: str = ""


@dataclass(frozen=True)
class Directive:
    """Any other statement; `word` is empty for a line that only make can expand."""

    line: int
    word: str
    text: str


Statement = Rule | Assignment | Directive


def blanks(text: str) -> str:
    """Return a text in which runs of blanks, and ends of lines that go on, are one blank."""
    return re.sub(r"(?:\\\n|[ \t\n])+", " ", text).strip(" ")


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with those that continue them. Only \\n ends a line, as for make."""
    now, start = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        start = start or number
        now = f"{now}\n{line}" if start != number else line
        if (len(line) - len(line.rstrip("\\"))) % 2 == 0:
            yield start, now
            now, start = "", 0
    if start:
        yield start, now


def outside(text: str, signs: str) -> int:
    """Return where the first of some signs stands that is in no $(…) and not behind a backslash, or -1."""
    depth = 0
    for position, sign in enumerate(text):
        if (text[position - 1 : position] == "$" and sign in "({") or (depth and sign in "({"):
            depth += 1
        elif depth and sign in ")}":
            depth -= 1
        elif not depth and sign in signs and text[position - 1 : position] != "\\":
            return position
    return -1


def _plain(text: str) -> str:
    """Return a statement on one line and without its comment."""
    text = blanks(text)
    end = outside(text, "#")
    return text if end < 0 else text[:end].rstrip(" ")


def _assignment(line: int, text: str, conditional: bool, targets: str = "") -> Assignment | None:
    matched = ASSIGNMENT.fullmatch(text)
    if not matched:
        return None
    name, sign, value = matched["name"], matched["sign"], matched["value"]
    return Assignment(line, name, sign, value, matched["modifiers"].strip(), conditional, targets)


def _rule(line: int, text: str, conditional: bool) -> Statement:
    """Return a rule, or the variable that is set for its targets, or what nobody but make can read."""
    end = outside(text, ":")
    if end < 0:
        return Directive(line, "", text)
    targets, rest = text[:end], text[end:]
    after = rest.lstrip(":")
    if found := _assignment(line, after.lstrip(" "), conditional, targets):
        return found
    double = len(rest) - len(after) > 1 or targets.endswith("&")
    end = outside(after, ";")
    rule = Rule(
        line, targets.strip(" &"), (after if end < 0 else after[:end]).strip(" "), double, conditional
    )
    if end >= 0:
        rule.recipe.append((line, after[end + 1 :].strip(" ")))
    return rule


def statements(text: str) -> list[Statement]:
    """Return the statements of a Makefile. A recipe goes on after blank lines, comments and conditions."""
    found: list[Statement] = []
    rule: Rule | None = None
    depth = defining = 0
    for line, logical in _logical(text):
        plain = _plain(logical)
        word = DIRECTIVE.match(plain)
        if defining:
            defining += {"define": 1, "endef": -1}.get(word[1] if word else "", 0)
        elif logical.startswith("\t") and rule:
            rule.recipe.append((line, blanks(logical)))
            rule.conditional |= depth > 0
        elif condition := CONDITION.match(plain):
            depth += {"endif": -1, "else": 0}.get(condition[1], 1)
            found.append(Directive(line, CONDITION_WORD, plain))
        elif plain:
            defining = int(bool(re.match(r"(?:(?:override|export|private)\s+)*define\s", plain)))
            statement = None if defining else _assignment(line, plain, depth > 0)
            if statement is None and word:
                statement = Directive(line, word[1], plain)
            found.append(statement or _rule(line, plain, depth > 0))
            rule = found[-1] if isinstance(found[-1], Rule) else None
    return found
