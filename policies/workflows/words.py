"""Words of commands with their quotes, and substitutions: who expands a text is what counts."""

from __future__ import annotations

import posixpath
import re

from policies.workflows.pipelines import HEREDOC, INNER_END, KEYWORD

#: Stands in a script for a substitution whose own script was taken out of it.
LIFTED = "SUBSTITUTED_"
#: Substitutions in substitutions: no honest script goes deeper.
DEEPEST = 20
WORD = re.compile(r"(?:\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"|[^\s\\'\"]|[\\'\"])+", re.DOTALL)
QUOTED = re.compile(r"'(?P<single>[^']*)'|\"(?P<double>(?:\\.|[^\"\\])*)\"|\\(?P<sign>.)", re.DOTALL)
#: What may stand in front of a command: the words of the shell, settings for it, and programs that run it.
BEFORE = re.compile(
    r"^(?:[A-Za-z_]\w*\+?=(?:\"(?:\\.|[^\"\\])*\"|'[^']*'|[^\s'\"])*\s+(?=\S)|timeout\s+(?:-\S+\s+)*\S+\s+|"
    r"(?:sudo|exec|env|nice|ionice|nohup|time|command|builtin|coproc|stdbuf|setsid)\s+(?:-\S+\s+)*(?=[^\s<>])|"
    r"case\s+\S+\s+in\s+(?=\S)|[^\s()=$]+\)\s+(?=\S)|(?:function\s+)?[\w.-]+\s*\(\s*\)\s*)"
)


def _end(text: str, start: int) -> int:
    """Return where the parenthesis that was opened before `start` is closed."""
    depth, quote, position = 1, "", start
    while position < len(text):
        sign = text[position]
        if sign == "\\" and quote != "'":
            position += 1
        elif sign in "\"'" and quote in ("", sign):
            quote = "" if quote else sign
        elif not quote:
            depth += {"(": 1, ")": -1}.get(sign, 0)
            if depth == 0:
                return position
        position += 1
    return position


def lifted(script: str) -> tuple[str, dict[str, str]]:
    """Return a joined script with a variable in place of each $(…), `…` and <(…), and their scripts."""
    out, found, quote, position, document = "", {}, "", 0, ""
    while position < len(script):
        sign, pair = script[position], script[position : position + 2]
        if sign == INNER_END and not document:
            begun = HEREDOC.search(script[script.rfind("\n", 0, position) + 1 : position])
            document = "literal" if begun and begun["quote"] else "text"
        document = "" if sign == "\n" else document
        literal = quote == "'" or document == "literal"
        opens = pair == "$(" and script[position + 2 : position + 3] != "("
        opens = opens or (pair in ("<(", ">(") and not quote and not document)
        if sign == "\\" and not literal:
            out, position = out + pair, position + 2
        elif not literal and (opens or sign == "`"):
            start = position + len(pair if opens else sign)
            end = _end(script, start) if opens else script.find("`", start) % (len(script) + 1)
            name = f"{LIFTED}{len(found)}"
            found[name] = script[start:end]
            out, position = f"{out}${{{name}}}", end + 1
        else:
            if sign in "\"'" and quote in ("", sign) and not document:
                quote = "" if quote else sign
            out, position = out + sign, position + 1
    return out, found


def words(command: str) -> list[str]:
    """Return the words of a command as they are written, without the text of a here-document."""
    return WORD.findall(command.partition(INNER_END)[0])


def bare(word: str) -> str:
    """Return a word without its quotes."""
    return QUOTED.sub(lambda each: each["single"] or each["double"] or each["sign"] or "", word)


def expanded(command: str) -> str:
    """Return the part of a command in which the shell puts in variables: nothing in single quotes is."""
    words, _, document = command.partition(INNER_END)
    begun = HEREDOC.search(words)
    kept = QUOTED.sub(lambda each: "" if each["double"] is None else re.sub(r"\\.", "", each[0]), words)
    return kept if begun and begun["quote"] else f"{kept}\n{document.replace(INNER_END, chr(10))}"


def program(word: str) -> str:
    """Return the name of the program that a word calls."""
    return posixpath.basename(bare(word))


def plain(command: str) -> str:
    """Return a command without what may stand in front of one; `sh -c` stays."""
    command = KEYWORD.sub("", command.strip())
    while (shorter := BEFORE.sub("", command, count=1)) != command:
        command = KEYWORD.sub("", shorter.strip())
    return command
