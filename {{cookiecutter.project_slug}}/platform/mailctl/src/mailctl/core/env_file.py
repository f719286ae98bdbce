"""Reads `.env` the way compose does, and keeps line numbers, so that a message can point without quoting."""

import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailctl.core import files
from mailctl.core.errors import Problem, Refused

_BARE_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")


@dataclass(frozen=True)
class Entry:
    """One `NAME=value` line: the value before interpolation, and whether single quotes forbid it."""

    value: str
    line: int
    literal: bool


@dataclass(frozen=True)
class EnvFile:
    """A parsed `.env`; of a variable that stands twice the last one counts, as in compose."""

    path: Path
    entries: Mapping[str, Entry]

    def get(self, name: str) -> Entry | None:
        return self.entries.get(name)

    def expanded(self, name: str, environ: Mapping[str, str]) -> str:
        """The value with `$OTHER`, `${OTHER}` and `${OTHER:-default}` filled in; empty when there is none.

        As in compose a variable sees the environment and the lines above its own.
        """
        known: dict[str, str] = {}
        for other, entry in self.entries.items():
            known[other] = entry.value if entry.literal else _interpolate(entry.value, known | dict(environ))
            if other == name:
                return known[other]
        return ""


def read_env_file(path: Path) -> EnvFile:
    """Parse the file at `path`. Raises Refused: missing, unreadable, not UTF-8, or lines that do not parse.

    No message ever quotes a line: it may hold a secret.
    """
    from io import StringIO

    from dotenv.parser import parse_stream

    text = _text(path)
    entries: dict[str, Entry] = {}
    wrong: list[int] = []
    for binding in parse_stream(StringIO(text)):
        line = binding.original.line + _leading_newlines(binding.original.string)
        if binding.error:
            wrong.append(line)
        elif binding.key is not None and binding.value is not None:
            literal = binding.original.string.partition("=")[2].lstrip().startswith("'")
            entries[binding.key] = Entry(binding.value, line, literal)
    if wrong:
        raise Refused(*(_broken_line(path, line) for line in wrong))
    return EnvFile(path, entries)


def make_from_example(path: Path, example: Path) -> bool:
    """Copy the example for an operator who has not done so; its values are the answers of the template."""
    if path.exists():
        return False
    if not example.is_file():
        wrong = f"neither it nor {example.name} is there"
        raise Refused(Problem(field=path.name, wrong=wrong, fix=f"git checkout -- {example.name}"))
    path.touch(mode=0o600)
    shutil.copyfile(example, path)
    return True


def open_to_others(path: Path) -> bool:
    """Whether group or world may do anything with the file; a symlink itself is never judged."""
    mode = path.lstat().st_mode
    return not stat.S_ISLNK(mode) and bool(mode & 0o077)


def _interpolate(text: str, known: Mapping[str, str]) -> str:
    from dotenv.variables import parse_variables

    if "$" not in text:
        return text
    braced = _BARE_VARIABLE.sub(r"${\1}", text)
    return "".join(atom.resolve(known) for atom in parse_variables(braced))


def _leading_newlines(text: str) -> int:
    """The parser counts blank lines before a binding as part of it; the reader of a message does not."""
    return text[: len(text) - len(text.lstrip())].count("\n")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        wrong, fix = "the file does not exist", f"cp .env.example {path.name} and fill it in"
    except UnicodeDecodeError as error:
        wrong, fix = f"byte {error.start} is not UTF-8", "save the file as UTF-8 text"
    except OSError as error:
        wrong, fix = f"cannot be read: {error.strerror}", f"make {path} a file that this user can read"
    raise Refused(Problem(field=path.name, value=str(path), wrong=wrong, fix=fix))


def _broken_line(path: Path, line: int) -> Problem:
    return Problem(
        field=f"{path.name} line {line}",
        wrong="not of the form NAME=value (the line is not shown: it may hold a secret)",
        fix="write NAME=value; close every quote; begin a comment with #",
    )


def set_lines(path: Path, settings: Mapping[str, str]) -> None:
    """Put settings into the file, each in its line or at the end; the rest stays as it is."""
    text = path.read_text("utf-8")
    for name, value in settings.items():
        text, times = re.subn(rf"(?m)^\s*{name}\s*=.*$", f"{name}={value}", text)
        text = text if times else f"{text.rstrip()}\n{name}={value}\n"
    files.write(path, text)
