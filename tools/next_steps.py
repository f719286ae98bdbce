"""What a person does after `make new`: the steps of the page that the repository brings, told only there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PAGE, HOSTS = "docs/start-here.md", "docs/several-hosts.md"


class Step(NamedTuple):
    """One thing to do, and the commands or steps that do it."""

    title: str
    details: tuple[str, ...] = ()


def headings(page: str) -> tuple[str, ...]:
    """Return the numbered headings of the page, in its language and order."""
    return tuple(re.findall(r"^## (\d+\. .+)$", page, flags=re.MULTILINE))


def steps(project: Path, answers: Mapping[str, object], targets: frozenset[str]) -> list[Step]:
    """Return the steps for these answers; `targets` are those of the generated Makefile."""
    found = []
    swarm = answers.get("scale") == "swarm"
    if swarm:
        found.append(Step(f"Read {project / HOSTS}: it says what is different from one host"))
    if "local" in targets and not swarm:
        trial = f"make -C {shlex.quote(str(project))} local"
        found.append(Step("Try it on this machine, without any account", (trial,)))
    if answers["mail_domain"] == "example.com":
        note = "write your answers into a file and run: make new ANSWERS=answers.yml OUT=somewhere"
        return [*found, Step("example.com is only for a trial: choose your own domain", (note,))]
    page = project / PAGE
    return [*found, Step(f"Open {page} and follow it", headings(page.read_text(encoding="utf-8")))]


def plain(found: list[Step]) -> str:
    """Return the steps as numbered lines."""
    lines = []
    for number, step in enumerate(found, 1):
        lines += [f"{number}. {step.title}", *(f"     {detail}" for detail in step.details)]
    return "\n".join(lines)
