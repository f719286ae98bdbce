"""Shell scripts as pipelines: what runs, and where its output goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from policies.shared.shell import BEFORE
from policies.workflows.expressions import EXPRESSION

HEREDOC = re.compile(r"(?<!<)<<-?\s*(?P<quote>['\"]?)(?P<end>\w+)(?P=quote)")
#: Stand in the lines of a here-document for the ends of its lines, so that it stays with its command.
INNER_END = "\x1f"
REDIRECTED = re.compile(r"(?<![0-9&])1?>{1,2}\|?\s*(?P<target>\"[^\"]*\"|'[^']*'|[^\s;&|<>]+)")
COMMENT = re.compile(r"(?:^|(?<=\s))#")
KEYWORD = re.compile(r"^(?:[({]\s*|(?:then|do|else|elif|if|while|until|!)\s+)+")


@dataclass(frozen=True)
class Pipeline:
    """The commands of one pipeline; `ends_with` is the operator behind it (|| or && or & or nothing)."""

    stages: tuple[str, ...]
    ends_with: str

    @property
    def text(self) -> str:
        """The pipeline as it was written, on one line."""
        return " | ".join(self.stages)


def _without_comment(line: str) -> str:
    """Return a line without its comment; a sign between quotes begins none."""
    for matched in COMMENT.finditer(line):
        before = line[: matched.start()]
        if before.count('"') % 2 == 0 and before.count("'") % 2 == 0:
            return before
    return line


def joined(text: str) -> str:
    """Return a script without continuation lines and comments, each here-document on its command's line."""
    lines, kept = EXPRESSION.sub("EXPRESSION", text).replace("\\\n", " ").splitlines(), []
    while lines:
        line = _without_comment(lines.pop(0))
        if matched := HEREDOC.search(line):
            body = []
            while lines and lines[0].strip() != matched["end"]:
                body.append(lines.pop(0))
            del lines[:1]
            line += INNER_END + INNER_END.join(body)
        kept.append(line)
    return "\n".join(kept)


def pipelines(text: str) -> Iterator[Pipeline]:
    """Yield each pipeline of a script; signs between quotes separate nothing."""
    return split(joined(text), _plain)


def split(script: str, plain: Callable[[str], str]) -> Iterator[Pipeline]:
    """Yield each pipeline of a joined script, its commands as `plain` returns them."""
    stages, now, quote, inside, position = [], "", "", False, 0
    while position <= len(script):
        sign = script[position : position + 1]
        pair = script[position : position + 2]
        inside = (inside or sign == INNER_END) and sign != "\n"
        if sign and (inside or quote or sign in "\"'"):
            quote = "" if sign == quote else quote or (sign if not inside and sign in "\"'" else "")
            now, position = now + sign, position + 1
        elif pair in (">&", "&>", ">|"):
            now, position = now + pair, position + 2
        elif sign and sign not in "\n;&|":
            now, position = now + sign, position + 1
        else:
            operator = pair if pair in ("||", "&&", "|&", ";;") else sign
            stages.append(plain(now))
            now, position = "", position + max(len(operator), 1)
            if operator not in ("|", "|&"):
                if any(stages):
                    yield Pipeline(tuple(stages), operator if operator in ("||", "&&", "&") else "")
                stages = []


def _plain(command: str) -> str:
    """Return a command without what may stand in front of one."""
    command = KEYWORD.sub("", command.strip())
    while (shorter := BEFORE.sub("", command, count=1)) != command:
        command = shorter
    return command


def target(command: str) -> str:
    """Return where the output of a command is written to; nothing if it goes on."""
    found = REDIRECTED.search(command.partition(INNER_END)[0])
    return found["target"].strip("\"'") if found else ""
