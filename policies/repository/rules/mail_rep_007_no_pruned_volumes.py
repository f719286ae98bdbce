"""MAIL_REP_007: no command deletes volumes unseen, in documents and programs; MAIL_CFG_019 sees scripts."""

import re
from collections.abc import Iterator
from functools import lru_cache

from policies.model import Found
from policies.shared.repository import Repository
from policies.shared.scripts import blocks, logical, script_files

#: What deletes volumes: in one line, whatever stands between the words.
ENGINE = r"\b(?:docker|podman|nerdctl)(?:[-\s]compose)?\b[^;&|]*?"
PRUNES = {
    "system prune with --volumes": rf"{ENGINE}\bsystem\s+prune\b[^;&|]*?--volumes\b",
    "volume prune": rf"{ENGINE}\bvolume\s+prune\b",
    "volume rm of whatever there is": (
        r"\bvolume\s+(?:rm|remove)\b.*(?:\$\(|`)|\bvolume\s+ls\b.*\bvolume\s+rm\b"
    ),
    "compose down with --volumes": rf"{ENGINE}\bdown\s(?:[^;&|]*?\s)?(?:--volumes|-v)(?![\w-])",
}
QUOTED = re.compile(r"[\"',\[\]]+")
#: Not commands: the gate's own texts, tests of such commands, and what git or pip wrote.
APART = ("policies/*", "schemas/*", "*/tests/*", "tests/*", ".github/*", "*requirements*.txt", "*.json")


def check(subject: Repository) -> Iterator[Found]:
    """Look at every file that holds no scripts; of Markdown only at its blocks: sentences may warn of it."""
    apart = {*subject.matching(*APART), *script_files(subject)}
    for file in (each for each in subject.files if each not in apart):
        yield from _in_text(subject.text(file), file)


@lru_cache(maxsize=4096)
def _in_text(text: str, file: str) -> tuple[Found, ...]:
    found = []
    for command in blocks(text, file) if file.endswith(".md") else logical(text, file):
        line = QUOTED.sub(" ", command.text)
        if what := next((what for what, pattern in PRUNES.items() if re.search(pattern, line)), ""):
            found.append(Found(command.place, f"it runs {what}", "docker image prune", what))
    return tuple(found)
