"""Files with nested blocks in braces: Dovecot, nginx, and UCL, the language of rspamd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from policies.model import Place
from policies.shared.located import Unreadable

TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|\\\r?\n)|(?P<newline>\n)|(?P<comment>\#[^\n]*|/\*.*?(?:\*/|(?P<open>\Z)))"
    r"|(?P<heredoc><<(?P<tag>[A-Z]+)[ \t]*\n(?:(?P<body>.*?)\n(?P=tag)[ \t]*(?=\n|\Z)|(?P<endless>)))"
    r"|(?P<text>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')|(?P<sign>[{};=,\[\]])|(?P<word>(?:\([^()\n]*\)|[^\s{};=,\[\]\"'#\\]|\\.|(?<=\S)\#)+)",
    re.DOTALL,
)
#: nginx has no equals sign, no lists and ends its directives with semicolons only.
NGINX = re.compile(
    r"(?P<space>\s+)|(?P<comment>\#[^\n]*)|(?P<text>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')"
    r"|(?P<sign>[{};])|(?P<word>(?:\$\{[^}\s]{0,200}\}|\\.|[^\s{};\"'])(?:\$\{[^}\s]{0,200}\}|\\.|[^\s{};])*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Setting:
    """One `name = value` or directive; `value` is the rest of it without quotes."""

    name: str
    value: str
    place: Place


@dataclass
class Block:
    """One block. `label` is what stands between its name and the brace."""

    name: str
    label: str
    place: Place
    settings: list[Setting] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def all(self, name: str) -> list[Setting]:
        """Return every setting of a name in this block."""
        return [each for each in self.settings if each.name == name]

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of a name in this block."""
        found = self.all(name)
        return found[-1].value if found else default

    def where(self, name: str) -> Place:
        """Return the place of a setting, or of the block if it has none."""
        found = self.all(name)
        return found[-1].place if found else self.place

    def inner(self, *names: str) -> list[Block]:
        """Return the blocks of these names directly inside."""
        return [each for each in self.blocks if each.name in names]

    def walk(self) -> Iterator[Block]:
        """Yield this block and all inside it."""
        yield self
        for each in self.blocks:
            yield from each.walk()


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[:1] in "\"'" and len(text) > 1 else text


def _tokens(text: str, file: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, str, int]]:
    position, line = 0, 1
    while position < len(text):
        matched = pattern.match(text, position)
        if not matched:
            raise Unreadable(Place(file, line), f"unexpected {text[position]!r}")
        kind = matched.lastgroup or ""
        groups = matched.groupdict()
        if groups.get("open") is not None or groups.get("endless") is not None:
            raise Unreadable(Place(file, line), "a comment or a text that has no end")
        if groups.get("heredoc"):
            yield "text", groups["body"], line
        elif kind == "newline":
            yield "end", "", line
        elif kind == "text":
            yield "text", _unquoted(matched.group()), line
        elif kind in ("sign", "word"):
            yield kind, matched.group(), line
        line += matched.group().count("\n")
        position = matched.end()
    yield "end", "", line


class _Tree:
    """What the readers of nginx and UCL share: blocks that are open, and the words of the setting at hand."""

    def __init__(self, file: str) -> None:
        self.top = Block("", "", Place(file))
        self.stack, self.words, self.line = [self.top], [], 1

    def word(self, value: str, line: int) -> None:
        if not self.words:
            self.line = line
        self.words.append(value)

    def finish(self) -> None:
        if self.words:
            place = Place(self.top.place.file, self.line)
            self.stack[-1].settings.append(Setting(self.words[0], " ".join(self.words[1:]), place))
        self.words = []

    def open(self, line: int) -> None:
        if not self.words:  # braces around a whole file, as JSON has them, or around nothing
            self.stack.append(self.stack[-1])
            return
        place = Place(self.top.place.file, self.line if self.words else line)
        self.stack[-1].blocks.append(Block(self.words[0], " ".join(self.words[1:]), place))
        self.stack.append(self.stack[-1].blocks[-1])
        self.words = []

    def close(self, line: int) -> None:
        self.finish()
        if len(self.stack) == 1:
            raise Unreadable(Place(self.top.place.file, line), "a closing brace too many")
        self.stack.pop()

    def whole(self) -> Block:
        self.finish()
        if len(self.stack) > 1:
            raise Unreadable(self.stack[-1].place, "a block that is not closed")
        return self.top


def nginx(text: str, file: str) -> Block:
    """Return a file of nginx as one block without a name."""
    tree = _Tree(file)
    for kind, value, line in _tokens(text, file, NGINX):
        if kind == "sign":
            {"{": tree.open, "}": tree.close, ";": lambda _: tree.finish()}[value](line)
        elif kind != "end":
            tree.word(value, line)
    return tree.whole()


def ucl(text: str, file: str) -> Block:
    """Return a file of rspamd as one block without a name; lists stay texts."""
    tree, depth, equals = _Tree(file), 0, False
    for kind, value, line in _tokens(text, file, TOKEN):
        if depth or (kind == "sign" and value in "[]"):
            depth += (kind == "sign") * ((value == "[") - (value == "]"))
            if kind != "end":
                tree.word(value, line)
        elif kind == "end" or (kind == "sign" and value in ";,"):
            tree.finish()
        elif kind == "sign" and value == "{" and not (equals and len(tree.words) > 1):
            tree.open(line)
        elif kind == "sign" and value == "}":
            tree.close(line)
        elif kind == "sign" and value == "=" and not equals:
            equals = True
            continue
        else:
            equals = _ucl_word(tree, kind, value, line) or equals
        if not tree.words:
            equals = False
    return tree.whole()


def _ucl_word(tree: _Tree, kind: str, value: str, line: int) -> bool:
    """Add a word; return whether it held the colon that UCL also takes between name and value."""
    if kind == "word" and len(tree.words) < 2 and not value.startswith("."):
        name, colon, rest = value.partition(":")
        if colon and (not tree.words) == bool(name):
            for part in (name, rest):
                if part:
                    tree.word(part, line)
            return True
    tree.word(value, line)
    return False


def dovecot(text: str, file: str) -> Block:
    """Return a file of Dovecot as one block: a value goes to the end of its line, whatever stands in it."""
    top = Block("", "", Place(file))
    stack, joined, first = [top], "", 1
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not joined:
            first = number
        if stripped.startswith("#") or (not stripped and not joined):
            continue
        joined += re.sub(r"\s#.*$", "", stripped)
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        whole, joined = joined.strip(), ""
        if whole == "}":
            if len(stack) == 1:
                raise Unreadable(Place(file, number), "a closing brace too many")
            stack.pop()
        elif whole.endswith("{"):
            name, _, label = whole[:-1].strip().partition(" ")
            stack[-1].blocks.append(Block(name, label.strip().strip('"'), Place(file, first)))
            stack.append(stack[-1].blocks[-1])
        else:
            name, sign, value = whole.partition("=")
            if not sign:
                name, _, value = whole.partition(" ")
            stack[-1].settings.append(Setting(name.strip(), value.strip().strip('"'), Place(file, first)))
    if len(stack) > 1:
        raise Unreadable(stack[-1].place, "a block that is not closed")
    return top
