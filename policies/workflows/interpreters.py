"""Commands that make code of their words or of what they read, as policies/data/untrusted.yml lists them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from policies.shared.tables import table
from policies.workflows.words import bare, program

REDIRECTION = re.compile(r"^\d?(?:<<<|<<-?|>>|>\||[<>])&?")
STDIN = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def language(word: str) -> str:
    """Return the entry of the table for an interpreter; nothing for another program."""
    name = program(word)
    return next((each for each in table("untrusted")["interpreters"] if re.fullmatch(each, name)), "")


def _plain(parts: list[str]) -> Iterator[str]:
    """Yield words without redirections and where they go."""
    skipped = False
    for part in parts:
        if skipped:
            skipped = False
        elif matched := REDIRECTION.match(part):
            skipped = matched.end() == len(part)
        else:
            yield part


def fed(parts: list[str]) -> Iterator[str]:
    """Yield each word, or file, that a command reads with < or <<<."""
    for part, follows in zip(parts, (*parts[1:], ""), strict=False):
        if matched := re.match(r"(?:<<<|<)(?![<&])", part):
            yield part[matched.end() :] or follows


def _walk(name: str, parts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what is code (`code`), and the first word that is no option (`first`)."""
    entry: dict[str, Any] = table("untrusted")["interpreters"][name]
    coded, rest = False, list(_plain(parts))
    while rest:
        word = rest.pop(0)
        option, equals, value = bare(word).partition("=")
        if re.fullmatch(entry["code"], option):
            coded = True
            if equals or rest:
                yield "code", value if equals else rest.pop(0)
        elif re.fullmatch(entry["value"], option):
            del rest[: 0 if equals else 1]
        elif not option.startswith(("-", "+")) or option == "-":
            if not coded:
                yield "first", word
            return


def code_run(name: str, parts: list[str]) -> Iterator[str]:
    """Yield each word that an interpreter takes for code or for the file with it."""
    for _, word in _walk(name, parts):
        yield word


def reads_code(name: str, parts: list[str]) -> bool:
    """Tell whether an interpreter runs what comes from its standard input."""
    if not table("untrusted")["interpreters"][name]["reads"]:
        return False
    stays = name.endswith("sh") and any(re.fullmatch(r"-\w*s\w*", each) for each in parts)
    return stays or all(kind == "first" and bare(word) in STDIN for kind, word in _walk(name, parts))


def arguments_run(parts: list[str], holds: Callable[[str], bool], flows: bool) -> bool:
    """Tell whether a command runs its arguments, and one of them `holds` a stranger's text.

    With xargs the arguments are what it reads: `flows` tells that a stranger's text comes through the pipe.
    """
    if program(parts[0]) == "xargs":
        return flows and _xargs(parts[1:])
    text = " ".join((program(parts[0]), *parts[1:]))
    runs = any(re.match(each, text) for each in table("untrusted")["run_arguments"])
    return runs and (any(map(holds, parts[1:])) or (flows and any(bare(each) in STDIN for each in parts[1:])))


def _xargs(parts: list[str]) -> bool:
    """Tell whether xargs makes code of what it reads: for a shell, or by its mark in a script."""
    mark = next(
        (
            each[2:] or follows
            for each, follows in zip(parts, [*parts[1:], ""], strict=True)
            if each[:2] == "-I"
        ),
        "",
    )
    for number, word in enumerate(parts):
        name, rest = language(word), parts[number + 1 :]
        if name:
            code = list(code_run(name, rest))
            return not code or (bool(mark) and any(bare(mark) in each for each in code))
        if any(re.match(each, " ".join((word, *rest, ""))) for each in table("untrusted")["run_arguments"]):
            return True
    return False
