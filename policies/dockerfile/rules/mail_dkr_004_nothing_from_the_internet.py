"""MAIL_DKR_004: nothing from an address."""

import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile, Instruction
from policies.model import Found
from policies.shared.shell import commands

REMOTE = re.compile(r"(?:^|[\s\"'\[,])(?:(?:https?|ftp|git|ssh)://|git@)", re.IGNORECASE)
FETCHER = r"(?:curl|wget|wget2|aria2c)"
#: Something is fetched and run unseen: curl … | sh, sh -c "$(wget …)", bash <(curl …).
RUN = re.compile(
    rf"\b{FETCHER}\s[^;&]*\|&?\s*[^;&]*\b(?:\w*sh|python[\d.]*|perl|ruby|node|php|tar|xargs)\b|(?:\$\(|<\(|`)\s*{FETCHER}\s"
)
#: Something is fetched with an address, by a program or a package manager.
FETCHED = re.compile(
    rf"^{FETCHER}\s(?!.*(?:--version|//localhost|//127\.)).*[\w-]+[./:][\w-]"
    r"|^(?:apt-get|apt|apk|dnf|microdnf|yum|rpm|dpkg|zypper)\s.*://"
)
CLONED = re.compile(r"^git\s+(?:-\S+\s+)*(?:clone|fetch|pull|submodule)\b")
#: It is compared with what was reviewed.
COMPARED = re.compile(r"\b[0-9a-f]{64}\b.*\bsha256sum\s+(?:-\S+\s+)*(?:-c|--check)\b", re.DOTALL)
COMMIT = re.compile(r"\b[0-9a-f]{40}\b")


def check(subject: Dockerfile) -> Iterator[Found]:
    """Look at every ADD and RUN of every stage: what is in no image may still decide what is."""
    for instruction in subject.instructions:
        if what := _wrong(instruction):
            should = "COPY of a file, or a pinned package"
            entity = f"{subject.file}/{' '.join(instruction.value.split()[:3])}"
            yield Found(instruction.place, what, should, entity)


def _wrong(instruction: Instruction) -> str:
    text = " ".join(instruction.resolved.split())
    if instruction.name == "ADD":
        # A here document is text of this file, whatever addresses it holds.
        return "ADD fetches from an address" if REMOTE.search(text.partition(";")[0]) else ""
    if instruction.name != "RUN":
        return ""
    if RUN.search(text):
        return "RUN executes what it fetches"
    compared = COMPARED.search(text)
    for command in commands(text):
        if CLONED.match(command) and not COMMIT.search(text):
            return "RUN fetches a repository without a commit"
        if FETCHED.match(command) and not compared:
            return "RUN fetches from an address"
    return ""
