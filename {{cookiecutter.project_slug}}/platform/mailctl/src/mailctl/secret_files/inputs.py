"""Reads and judges what `.env` says about secrets, before anything is written: all complaints at once."""

import ipaddress
import re
from dataclasses import dataclass

from mailctl.core.context import Context
from mailctl.core.env_file import EnvFile
from mailctl.core.errors import Problem, Refused
from mailctl.secret_files.rules import is_chosen
from mailctl.secret_files.table import SOURCES, Source

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}", re.IGNORECASE)
NEXT = "make setup (nothing has been written yet)"


@dataclass(frozen=True)
class Given:
    """What the operator chose: secret values by variable, and the names the certificates must carry."""

    values: dict[str, bytes]
    host_names: tuple[str, ...]


def read_given(context: Context) -> Given:
    """Take the secrets and host names out of `.env`. Raises Refused with every problem found."""
    env_file = context.env_file
    problems = [p for source in SOURCES if (p := _secret_problem(env_file, source))]
    names, name_problems = _host_names(context)
    if problems or name_problems:
        raise Refused(*problems, *name_problems)
    return Given(_chosen_values(env_file), names)


def _chosen_values(env_file: EnvFile) -> dict[str, bytes]:
    found = {s.variable: env_file.get(s.variable) for s in SOURCES if s.variable}
    return {name: entry.value.encode() for name, entry in found.items() if entry and is_chosen(entry.value)}


def _secret_problem(env_file: EnvFile, source: Source) -> Problem | None:
    """The complaint about one secret variable; it names the variable and line and never shows the value."""
    entry = env_file.get(source.variable) if source.variable else None
    if entry is None or source.rule is None or not is_chosen(entry.value):
        return None
    wrong = source.rule.complaint(entry.value)
    fix = f"use at least {source.rule.minimum} characters: {source.rule.words}"
    if wrong is None and "$" in entry.value and not entry.literal:
        wrong, fix = "holds a $, which compose would expand", "put the value in single quotes"
    elif wrong and source.make:
        fix += "; or leave it empty and a strong one is made"
    elif wrong:
        fix += f"; or leave it empty for now ({source.empty_means})"
    where = f"{source.variable} ({env_file.path.name} line {entry.line}, value not shown)"
    return Problem(field=where, wrong=wrong, fix=fix, next=NEXT) if wrong else None


def _host_names(context: Context) -> tuple[tuple[str, ...], list[Problem]]:
    webmail, lan = context.setting("WEBMAIL_HOST").strip(), context.setting("LAN_ADDRESS").strip()
    problems = []
    if not _HOST.fullmatch(webmail):
        problems.append(_host_problem("WEBMAIL_HOST", webmail, "a host name such as mail.example.com"))
    if lan and not (_HOST.fullmatch(lan) or _is_address(lan)):
        problems.append(_host_problem("LAN_ADDRESS", lan, "an address such as 192.168.1.10, or nothing"))
    return tuple(dict.fromkeys(n for n in (webmail, "localhost", "127.0.0.1", lan) if n)), problems


def _host_problem(name: str, value: str, example: str) -> Problem:
    wrong = "is not a host name or address" if value else "is empty, and the certificates must carry it"
    return Problem(field=name, value=value or "(empty)", wrong=wrong, fix=f"set it to {example}", next=NEXT)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
