"""Variables in Compose files and env files, with Compose's own rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from policies.shared.located import copied
from policies.shared.secrets import HARMLESS, is_named

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
REQUIRED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*):?\?")
#: Files whose values stand for those of the host, the nearest to it first.
EXAMPLES = (".env", ".env.example", ".env.sample", ".env.template", "env.example")
#: A line of an env file; Compose takes a colon as well.
ASSIGNED = re.compile(r"^\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*[=:](?P<value>.*)$")
OPERATORS = (":-", ":?", ":+", "-", "?", "+")


@dataclass
class Variables:
    """What is known of the environment.

    `defaults_first` asks for the default even where a value is given: what runs if the example is not
    followed. `required` are variables that the project refuses to run without; without a value they stay as
    they are written.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    defaults_first: bool = False
    required: frozenset[str] = frozenset()

    def get(self, name: str) -> str:
        """Return a value; one that is unknown and required, or a secret, as it is written, others empty."""
        stays = name in self.required or is_named(name)
        return self.values.get(name) or (f"${{{name}}}" if stays else "")


def _closing(text: str, start: int) -> int:
    """Return the index of the brace that closes the one before `start`, or -1."""
    depth, position = 1, start
    while position < len(text):
        if text.startswith("${", position):
            depth, position = depth + 1, position + 1
        elif text[position] == "}":
            depth -= 1
            if not depth:
                return position
        position += 1
    return -1


def _expression(body: str, variables: Variables) -> str | None:
    """Return the value of what stands between the braces, or None if it is no expression of Compose."""
    matched = NAME.match(body)
    if not matched:
        return None
    name, rest = matched.group(), body[matched.end() :]
    value = variables.values.get(name)
    if not rest:
        return variables.get(name)
    operator = next((each for each in OPERATORS if rest.startswith(each)), None)
    if operator is None:
        return None
    other = interpolate(rest[len(operator) :], variables)
    given = bool(value) if operator.startswith(":") else value is not None
    kind = operator[-1]
    # A secret's default is a secret as well, unless it says that there is none.
    if kind == "-" and is_named(name) and (not other or not HARMLESS.match(other)):
        return variables.get(name)
    if kind == "-":
        return value if given and not variables.defaults_first else other
    if kind == "+":
        return other if given else ""
    return value if given else f"${{{name}}}"


def interpolate(text: str, variables: Variables) -> str:
    """Return a text with its variables replaced; what is no variable stays as it is."""
    result, position = [], 0
    while (start := text.find("$", position)) >= 0:
        result.append(text[position:start])
        following = text[start + 1 : start + 2]
        position = start + 2
        if following == "$":
            result.append("$")
        elif following == "{" and (end := _closing(text, start + 2)) >= 0:
            value = _expression(text[start + 2 : end], variables)
            result.append(text[start : end + 1] if value is None else value)
            position = end + 1
        elif matched := NAME.match(text, start + 1):
            result.append(variables.get(matched.group()))
            position = matched.end()
        else:
            result.append("$")
            position = start + 1
    return "".join(result) + text[position:]


def interpolated(node: object, variables: Variables) -> object:
    """Return a copy of located values with every text interpolated; keys are left alone, as Compose does."""
    return copied(node, lambda text: interpolate(text, variables))


def env_file(text: str) -> dict[str, tuple[str, int]]:
    """Return the variables of an env file with their lines; a later one wins."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        matched = ASSIGNED.match(line)
        if not matched:
            continue
        name, value = matched["name"], matched["value"].strip()
        if value[:1] in "\"'" and value:
            value = value[1:].partition(value[0])[0]
        else:
            value = re.split(r"\s#", value, maxsplit=1)[0].strip()
        found[name] = (value, number)
    return found
