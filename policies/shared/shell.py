"""Command lines: the single commands of what a RUN, a script or a document block executes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

SEPARATOR = re.compile(r"&&|\|\||[;|&\n(){}`]|\$\(")
#: What may stand in front of a command without being one.
BEFORE = re.compile(
    r"^(?:--(?:mount|network|security)=\S+\s+|<<-?\S+\s*|(?:set\s+-\S+\s+)|[A-Za-z_]\w*=(?:\"[^\"]*\"|'[^']*'|\S*)\s+|"
    r"(?:sudo|exec|env|nice|time|command|then|do|else|if|while|!)\s+(?:-\S+\s+)*(?=[^\s<>-])|(?:\S*/)?(?:ba|da)?sh\s+-\w*c\s+[\"']?)"
)
FOLDER = re.compile(r"^[^\s=]*/(?=[\w.+-]+(?:\s|$))")


def commands(text: str) -> Iterator[str]:
    """Yield each command of a line, without what stands in front of it, its folder and doubled blanks."""
    if text.lstrip().startswith("["):
        try:
            words = json.loads(text)
        except (ValueError, RecursionError):
            words = None
        if isinstance(words, list):
            text = " ".join(str(word) for word in words)
    for part in SEPARATOR.split(text.replace("\\\n", " ")):
        command = " ".join(part.split())
        while (shorter := BEFORE.sub("", command, count=1)) != command:
            command = shorter
        command = FOLDER.sub("", command.strip("\"' "))
        if command:
            yield command
