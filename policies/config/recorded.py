"""Scripts whose code is a reviewed decision: policies/data/recorded.yml holds the digest of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from policies.model import Found, Place
from policies.shared import tables

if TYPE_CHECKING:
    from policies.config.reader import Configuration

TABLE = "policies/data/recorded.yml"
#: Texts come first, so that a sign of a comment inside one does not hide the code behind it.
TEXT = r"(?P<text>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\[(?P<t>=*)\[.*?\](?P=t)\])"
TOKENS = {
    "lua": re.compile(
        rf"(?P<comment>--\[(?P<c>=*)\[.*?\](?P=c)\]|--[^\n]*)|{TEXT}|(?P<space>\s+)|(?P<code>.)", re.DOTALL
    ),
    "sieve": re.compile(
        r"(?P<comment>/\*.*?\*/|\#[^\n]*)|(?P<text>\"(?:\\.|[^\"\\])*\"|text:.*?\n\.\s*\n)|(?P<space>\s+)"
        r"|(?P<code>.)",
        re.DOTALL,
    ),
}
#: The beginning of a here-document, and the line that ends it.
HERE = re.compile(r"<<-?\s*[\\'\"]?(?P<end>\w+)")


def code(text: str, kind: str) -> str:
    """Return a script without comments and blank lines, as far as its kind lets us tell."""
    pattern = TOKENS.get(kind)
    if pattern is None:
        return _shell(text)
    pieces = [""]
    for matched in pattern.finditer(text):
        if matched.lastgroup in ("text", "code"):
            pieces.append(matched.group())
        elif pieces[-1] != " ":
            pieces.append(" ")
    return "".join(pieces).strip()


def _shell(text: str) -> str:
    """Return a shell script without the lines that are comments; in a here-document, and behind a line that
    goes on, none is one.
    """
    kept, ends = [""], []
    for line in text.splitlines():
        comment = line.lstrip().startswith("#") and not line.startswith("#!")
        if ends or (line.strip() and not (comment and not kept[-1].endswith("\\"))):
            kept.append(line.rstrip())
        if not ends:
            ends = [] if comment else [each["end"] for each in HERE.finditer(line)]
        elif line.strip() == ends[0]:
            ends.pop(0)
    return "\n".join(kept[1:])


def digest(text: str, kind: str) -> str:
    """Return the digest of a script's code."""
    return hashlib.sha256(code(text, kind).encode()).hexdigest()


def changed(subject: Configuration, rule: str) -> Iterator[Found]:
    """Yield each script that a rule answers for and whose code is another than recorded."""
    for file, record in tables.table("recorded").items():
        text = subject.text(file)
        kind = subject.kinds.get(file, "")
        if text is None or record["rule"] != rule:
            continue
        now = digest(text, kind)
        if now != record["sha256"]:
            what = f"its code is not the one that was reviewed: {record['why']}"
            should = f"the reviewed code, or after a review sha256: {now} for this file in {TABLE}"
            yield Found(Place(file), what, should, record["service"])


def unknown(subject: Configuration, kind: str, folder: str) -> Iterator[Found]:
    """Yield each script of a kind that nobody has recorded."""
    for file in subject.files(kind, folder):
        if file not in tables.table("recorded"):
            now = digest(subject.text(file) or "", kind)
            what = "nobody has recorded a review of this script"
            yield Found(Place(file), what, f"sha256: {now} for this file in {TABLE}", folder.split("/")[1])
