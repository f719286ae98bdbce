"""The Makefile's part in the gate: its rules as recorded, and nothing that puts others in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import product

from policies.model import Found, Place
from policies.shared.tables import table
from policies.workflows.makefile import (
    CONDITION_WORD,
    Assignment,
    Directive,
    Rule,
    Statement,
    blanks,
    statements,
)

FILE = "Makefile"
#: make reads these before it.
BEFORE = ("GNUmakefile", "makefile")
VARIABLE = re.compile(r"\$(?:\((\w+)\)|\{(\w+)\}|(\w))")
#: Functions that write, run or define something, also by way of $(call …).
ACTS = re.compile(r"\$[({]\s*(?:call\s+)?(?:eval|file|guile)\b|\$[({]\s*call\s+(?:shell\b|\S*\$)")
SHELL = re.compile(r"\$[({]\s*shell\s+(?P<command>.*)")
#: Directives of make that only speak.
SPEAKS = re.compile(r"\$[({](?:info|warning)\s[^$]*[)}]")
MOST = 64


class Judge:
    """What one Makefile says about the gate."""

    def __init__(self, text: str) -> None:
        self.known = table("gate_job")["makefile"]
        self.statements: list[Statement] = statements(text)
        self.values: dict[str, set[str]] = {}
        for each in self.statements:
            if isinstance(each, Assignment) and not each.targets:
                self.values.setdefault(each.name, set()).add(each.value)
        names = [*self.known["targets"], *self.known["phony"]]
        self.protected = {name for each in names for name in (self.expanded(each) or "").split()}

    def expanded(self, text: str, depth: int = 0) -> str | None:
        """Return a text with each value that its variables have somewhere, or None if only make knows."""
        if "$" not in text:
            return text
        parts = VARIABLE.split(text)
        if depth > 5 or any("$" in part for part in parts[::4]):
            return None
        choices: list[set[str]] = []
        for position, part in enumerate(parts):
            if position % 4 == 0:
                choices.append({part})
            elif part is not None:
                found = [self.expanded(value, depth + 1) for value in self.values.get(part, {""})]
                if None in found:
                    return None
                choices.append({each for each in found if each is not None})
        every = ["".join(each) for each in product(*choices)][: MOST + 1]
        return None if len(every) > MOST else " ".join(every)

    def hit(self, targets: str) -> str | None:
        """Return which of the gate's targets a rule is for, `?` if nobody can tell, None if for none."""
        expanded = self.expanded(targets)
        if expanded is None or re.search("[:;=]", expanded):
            return "?"
        for word in expanded.split():
            pattern = re.sub(r"^(?:\./+)+", "", word).replace("%", "*").replace("\\", "")
            for name in sorted(self.protected):
                if fnmatchcase(name, pattern):
                    return name
        return None

    def weaknesses(self) -> Iterator[Found]:
        """Yield everything that is not as recorded."""
        seen: set[str] = set()
        phony: set[str] = set()
        for each in self.statements:
            if isinstance(each, Rule):
                yield from self._rule(each, seen, phony)
            elif isinstance(each, Assignment):
                yield from self._assignment(each, seen)
            else:
                yield from self._directive(each)
        for name in self.known["targets"]:
            if name not in seen:
                yield self._say(1, f"there is no rule for {name}", "the rule as it is recorded")
        for name in self.known["phony"]:
            if name not in phony:
                what = f"{name} is not in .PHONY: a file of this name would be taken for its result"
                yield self._say(1, what, f".PHONY: {name}")

    def _say(self, line: int, what: str, should: str) -> Found:
        return Found(Place(FILE, line), what, should, FILE)

    def _rule(self, rule: Rule, seen: set[str], phony: set[str]) -> Iterator[Found]:
        yield from self._functions(rule.line, f"{rule.targets}: {rule.needs}")
        if rule.targets == ".PHONY" and not rule.conditional:
            phony.update((self.expanded(rule.needs) or rule.needs).split())
        if re.fullmatch(r"\.[A-Z_]+", rule.targets):
            if rule.targets not in self.known["special"]:
                yield self._say(
                    rule.line, f"{rule.targets} changes how make runs the gate", "no such special target"
                )
        elif rule.targets in self.known["targets"] and rule.targets not in seen:
            seen.add(rule.targets)
            yield from self._recorded(rule)
        elif (name := self.hit(rule.targets)) == "?":
            what = f"nobody but make knows for what the rule {rule.targets} is"
            yield self._say(rule.line, what, "targets without functions, that cannot be the gate's")
        elif name:
            yield self._say(rule.line, f"another rule for {name}", "one rule, as it is recorded")

    def _recorded(self, rule: Rule) -> Iterator[Found]:
        """Compare one of the gate's rules with its record."""
        known = self.known["targets"][rule.targets]
        if rule.conditional or rule.double:
            yield self._say(rule.line, f"{rule.targets} is not always made so", "one rule without conditions")
        if blanks(rule.needs) != known["needs"]:
            what = f"{rule.targets} needs {rule.needs or 'nothing'}"
            yield self._say(rule.line, what, known["needs"] or "nothing")
        wanted = [blanks(each) for each in known["recipe"]]
        lines = [blanks(text.lstrip("\t")) for _, text in rule.recipe]
        if lines != wanted:
            pairs = zip(lines, wanted, strict=False)
            same = next(
                (at for at, (is_, must) in enumerate(pairs) if is_ != must), min(len(lines), len(wanted))
            )
            line = rule.recipe[same][0] if same < len(rule.recipe) else rule.line
            what = f"the recipe of {rule.targets} is not the recorded one"
            yield self._say(line, what, wanted[same] if same < len(wanted) else "no more lines")

    def _assignment(self, each: Assignment, seen: set[str]) -> Iterator[Found]:
        yield from self._functions(each.line, f"{each.name} {each.value}")
        if each.sign == "!=":
            yield from self._command(each.line, each.value)
        if each.targets:
            if self.hit(each.targets):
                yield self._say(
                    each.line, f"{each.name} is another one for {each.targets}", "one value for all"
                )
            return
        setting, flags = self.known["settings"].get(each.name), f"{each.name} {each.sign}" == "MAKEFLAGS +="
        if each.modifiers:
            yield self._say(
                each.line, f"{each.modifiers} {each.name}: it reaches the gate", "set it in a recipe"
            )
        elif "$" in each.name:
            yield self._say(each.line, f"nobody but make knows what {each.name} is", "a plain name")
        elif setting:
            if (
                each.conditional
                or each.name in seen
                or not re.fullmatch(setting, f"{each.sign} {each.value}")
            ):
                what = f"{each.name} {each.sign} {each.value}: the gate reads this variable"
                yield self._say(each.line, what, "its recorded value, once")
            seen.add(each.name)
        elif flags and set(each.value.split()) <= set(self.known["flags"]):
            return
        elif re.fullmatch(self.known["reserved"], each.name):
            yield self._say(each.line, f"{each.name} makes another gate of it", f"no {each.name}")

    def _directive(self, each: Directive) -> Iterator[Found]:
        if each.word == CONDITION_WORD:
            yield from self._functions(each.line, each.text)
            return
        if not each.word and SPEAKS.fullmatch(each.text):
            return
        what = (
            f"{each.word}: nobody sees here what it changes for the gate"
            if each.word
            else (f"nobody but make knows what {each.text} is")
        )
        yield self._say(each.line, what, "rules and variables that are written out")

    def _functions(self, line: int, text: str) -> Iterator[Found]:
        """Judge the functions that run while make reads the file."""
        if matched := ACTS.search(text):
            yield self._say(line, f"{matched[0]} … may define the gate anew", "no such function")
        for matched in SHELL.finditer(text):
            yield from self._command(line, _closed(matched["command"]))

    def _command(self, line: int, command: str) -> Iterator[Found]:
        plain = re.sub(r"\s*2>\s*/dev/null", "", command.replace("$(CURDIR)", "."))
        parts = [part.strip() for part in re.split(r"\|\||&&|\|", plain)]
        only = re.compile(f"(?:{'|'.join(self.known['looks'])})(?:\\s[^;&<>`$]*)?")
        if "--output" in plain or not all(only.fullmatch(part) for part in parts):
            yield self._say(line, f"make runs {command} before the gate", "commands that only look")


def _closed(text: str) -> str:
    """Return a text up to the bracket that closes it."""
    depth = 0
    for position, sign in enumerate(text):
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(sign, 0)
        if depth < 0:
            return text[:position]
    return text


def concerns(text: str) -> bool:
    """Tell whether a Makefile is one that runs a gate: other projects have other ones."""
    return bool(re.search(r"^check(?:-report)?\s*:", text, re.MULTILINE) or "policies/__main__.py" in text)


def weaknesses(text: str) -> list[Found]:
    """Return everything in a Makefile that is not as it is recorded for the gate."""
    return list(Judge(text).weaknesses())
