"""Health checks that ask nothing: they are content whatever the service does."""

from __future__ import annotations

import re
from typing import Any

from policies.shared.located import sequence

#: Commands that are always content, whatever stands behind them.
CONTENT = re.compile(
    r"^(?:(?:/usr)?/bin/)?(?:true|:|echo|printf|date|pwd|id|whoami|hostname|uname|sleep|env(?:\s+true)?$|ls(?:\s+/?)?$)(?:\s|$)"
    r"|^exit(?:\s+0)?$|^!\s*false$|^(?:test|\[)\s+(?:-[de]\s+/(?:\s|$)|(?P<one>\S+)\s+={1,2}\s+(?P=one)(?:\s|$))"
)
#: Shells that a command may be wrapped in.
SHELL = re.compile(r"^(?:/usr)?(?:/bin/)?(?:ba|da|a)?sh$")
COMMENT = re.compile(r"(?:^|\s)#.*$")
SEPARATOR = re.compile(r"\s*(?:&&|\|\||[;\n])\s*")
#: What comes after these decides in the place of what came before.
FORGIVEN = re.compile(r"(?:\|\||;)\s*(?P<last>[^;|&\n]+)$")
BACKGROUND = re.compile(r"(?<!&)&\s*$")


def _command(test: Any) -> str:
    """Return the command of a test as text, without a shell around it."""
    words = [str(word) for word in sequence(test)]
    if isinstance(test, list) and words and words[0] in ("CMD", "CMD-SHELL"):
        words = words[1:]
    if len(words) > 2 and SHELL.match(words[0]) and words[1].startswith("-"):
        words = words[2:]
    return COMMENT.sub("", " ".join(words)).strip().rstrip(";").strip()


def asks_nothing(test: Any) -> bool:
    """Tell whether a test is content whatever the service does."""
    if isinstance(test, list) and test and test[0] == "NONE":
        return True
    command = _command(test)
    parts = [part.strip("(){} ") for part in SEPARATOR.split(command)]
    if all(not part or CONTENT.match(part) for part in parts):
        return True
    forgiven = FORGIVEN.search(command)
    return bool(BACKGROUND.search(command) or (forgiven and CONTENT.match(forgiven["last"].strip("(){} "))))
