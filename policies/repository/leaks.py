"""Secrets in any text, line by line: by shape, by name, by chance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import lru_cache
from typing import NamedTuple

from policies.shared.secrets import HARMLESS, REFERENCE, TABLE, URL, random_looking, shape

# Each expression here reads a line once: none may begin with, or hold, a run of signs that may begin
# anywhere, or a long line would take hours (tests/policies/test_hostile_texts.py).

#: The end of a name, where it stands that it is a secret, and what is assigned to it.
ASSIGNED = re.compile(
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|"
    r"(?:api|access|private|secret|session|encryption|des)[_\-]?key)[\"'\]]*\s*(?:=>|:=|[:=])\s*"
    r"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s,;#)}\]]+)",
    re.IGNORECASE,
)
#: Settings that take a secret without a sign in between, and Postfix's map in place.
BARE = re.compile(
    r"(?:^\s*(?:requirepass|masterauth)\s+|\bstatic:[^:\s]+:|\bIDENTIFIED\s+(?:WITH\s+\S+\s+)?(?:BY|AS)\s+(?=['\"]))"
    r"(?P<value>'[^']*'|\"[^\"]*\"|[^\s,]+)",
    re.IGNORECASE,
)
#: Programs, and the option with which somebody gives them a password.
OPTIONS = tuple(
    (re.compile(program), re.compile(rf"(?<=\s){option}(?P<value>'[^']*'|\"[^\"]*\"|[^\s,]+)"))
    for program, option in (
        (r"(?i)\b(?:mysql|mariadb)[\w-]{0,40}(?=\s)", r"-p(?=[^\s-])"),
        (r"(?i)\bcurl(?=\s)", r"(?:-[uU]|--user)[\s=]+[^\s:=][^\s:]*:"),
    )
)
#: In code only a literal is a secret, and names are often names of fields: letters and digits must be mixed.
LITERAL = re.compile(r"^(?P<quote>[\"'])(?=[^\"']*\d)(?=[^\"']*[A-Za-z])[^\"'\s/.]{8,}(?P=quote)$")
#: In a document a value counts that no word looks like: `password: x`, `the token is x`, a cell of a table.
SAID = re.compile(
    r"(?:pass(?:word|wd|phrase)|secret|token|api[_ -]?key)\b[\"'`*\]]{0,4}\s{0,9}(?:=|:|\||is\b)\s{0,9}"
    r"[\"'`*]{0,4}"
    r"(?P<value>(?=[^\s|`]{0,99}\d)(?=[^\s|`]{0,99}[A-Za-z])[^\s\"'`|,;<>(){}\[\]$/.]{8,99})(?=[\"'`*\s|,;.]|$)",
    re.IGNORECASE,
)
#: Words that only say how, and what stands for something else.
NO_VALUE = re.compile(
    r"[^ -~]|^(?:plain|login|required?|optional|sql|file|string|str|bytes|bool|none|null|true|false|yes|no|"
    r"on|off|on[_-]change|change-?me|placeholder|example|redacted|x+|\*+|\.+|.{0,3})$|[<>{}$%()|\\*]|^[./~&@!]|"
    r"^(?:read|write)$",
    re.IGNORECASE,
)
WORD = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
PATH = re.compile(r"/[^/]+/[^/]+/[^/]+")
HASHES = re.compile(r"sha-?(?:1|256|384|512)\b|integrity|\sh1:", re.IGNORECASE)
#: What is public by its nature, and pictures: never judged by chance.
PUBLIC = re.compile(
    r"(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp\d+|sk-[\w.-]{1,60}@openssh\.com)\s+AAAA[\w+/=]+|"
    r"\bp=\s*MI[\w+/=]+|\b(?:site|domain)-verification[=:]\s*[\w+/=-]+|\bdata:[\w.+-]+/[\w.+-]+;base64,[\w+/=]+"
)
#: A public key for mail goes on in the next string of its record.
RECORD = re.compile(r"\bp=\s*MI[\w+/=]+\\?\"\s*$")
STRING = re.compile(r"\s*\\?\"[A-Za-z0-9+/]+={0,2}\\?\"[\s();`]*$")
BEGIN = re.compile(
    r"-----BEGIN (?:TRUSTED |X509 )?(?:CERTIFICATE|(?:RSA |EC )?PUBLIC KEY|CERTIFICATE REQUEST|X509 CRL|"
    r"PGP PUBLIC KEY BLOCK|PGP SIGNATURE|SSH SIGNATURE)-----"
)
END = re.compile(r"-----END ")
#: Parts of a name such as aLongNameOfAFunction; in a random text they are shorter.
PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
LONG_PARTS = 3.5
#: Hosts and passwords of examples in documents.
EXAMPLE = re.compile(
    r"://[^/\s:@]*:(?:pass(?:word)?|pw|secret|token)@|@(?:[\w-]+\.)*example\.(?:com|org|net)\b", re.IGNORECASE
)
#: Lines of a lock file, of pip, Terraform or npm: they are most of all lines, and cannot hold anything else.
LOCKED = re.compile(
    r"^\s*(?:--hash=sha256:[0-9a-f]{64}(?: \\)?|[a-z0-9][a-z0-9.-]{0,60}==\d{1,4}(?:\.\d{1,4}){1,3} \\|"
    r"\"(?:h1:[A-Za-z0-9+/]{43}=|zh:[0-9a-f]{64})\",?|"
    r"\"(?!\w*(?:password|passwd|secret|token|key)\")[@\w./-]+\": "
    r"\"(?:(?:\^|~|[<>]=?)? ?\d{1,4}(?:\.(?:\d{1,4}|x)){1,2}(?: \|\| |$|(?=\"))){1,4}\",?)$"
)
BY_CHANCE = "a long random text"
ALPHABET = 40
SHORTEST = 6
LONG = 1000


def _by_shape(line: str, kind: Kind) -> str:
    found = shape(line)
    if found == "a password inside an address":
        password = URL.search(line)
        placeholder = password and NO_VALUE.search(password["password"])
        # What a setting holds is no example.
        example = placeholder or (not kind.settings and EXAMPLE.search(line))
        return "" if kind.tests or example else found
    return found


def _by_name(line: str) -> str:
    for matched in ASSIGNED.finditer(line):
        value = matched["value"].strip("\"'")
        if not (HARMLESS.match(value) or NO_VALUE.search(value) or REFERENCE.match(value) or " " in value):
            return "a secret, by its name"
    values = (matched["value"].strip("\"'") for matched in _given(line))
    found = any(value and not NO_VALUE.search(value) for value in values)
    return "a secret, by its name" if found else ""


def _given(line: str) -> Iterator[re.Match[str]]:
    """Yield what a setting without a sign, or an option of a known program, holds."""
    yield from BARE.finditer(line)
    for program, option in OPTIONS:
        if begins := program.search(line):
            yield from option.finditer(line, begins.end())


def _by_literal(line: str) -> str:
    found = any(
        LITERAL.match(each["value"]) and not NO_VALUE.search(each["value"].strip("\"'"))
        for each in ASSIGNED.finditer(line)
    )
    return "a secret, by its name" if found else ""


def _by_chance(line: str) -> str:
    if HASHES.search(line):
        return ""
    # An alphabet is no secret: each of its letters stands there once.
    words = WORD.findall(PUBLIC.sub("", line))
    words = [word for word in words if len(word) < ALPHABET or len(set(word)) < len(word)]
    # A path of several folders is judged by their names: together any long path looks random.
    words = [name for word in words for name in (word.split("/") if PATH.match(word) else [word])]
    return BY_CHANCE if any(random_looking(word) and not _readable(word) for word in words) else ""


def _readable(word: str) -> bool:
    """Tell whether a word is made of longer ones, as names in programs are."""
    parts = PARTS.findall(word)
    return bool(parts) and len(word) / len(parts) >= LONG_PARTS


def complaint(file: str, line: str, elsewhere: bool = False) -> str:
    """Say what secret a line of a file shows, or nothing. `elsewhere`: another rule judges its settings."""
    # Most lines of the history are those of today; long ones would fill the memory.
    return (_remembered if len(line) < LONG else _complaint)(kind(file), line, elsewhere)


def _complaint(kind: Kind, line: str, elsewhere: bool) -> str:
    if len(line) < SHORTEST or LOCKED.match(line):
        return ""
    kind = kind._replace(settings=kind.settings and not elsewhere)
    if found := _by_shape(line, kind):
        return found
    if kind.settings and (found := _by_name(line)):
        return found
    if kind.program and (found := _by_literal(line)):
        return found
    if kind.document and (said := SAID.search(line)) and not NO_VALUE.search(said["value"]):
        return "a secret, by its name"
    settled = kind.tests or kind.picture or (elsewhere and not line.lstrip().startswith("#"))
    return "" if settled else _by_chance(line)


_remembered = lru_cache(maxsize=1 << 16)(_complaint)


@lru_cache(maxsize=4096)
def in_text(file: str, text: str, elsewhere: bool = False) -> tuple[tuple[int, str], ...]:
    """Return line and kind of each secret in a file; remembered, since most files stay as they are."""
    public, record, whole = False, False, []
    for number, line in enumerate(text.splitlines(), 1):
        public = (public or bool(BEGIN.search(line))) and not END.search(line)
        record = bool(RECORD.search(line) or (record and STRING.match(line)))
        found = complaint(file, line, elsewhere)
        if found and not ((public or record) and found == BY_CHANCE):
            whole.append((number, found))
        record = record and ")" not in line
    return tuple(whole)


class Kind(NamedTuple):
    """What decides how a file is looked at: whether other rules look there, and what it is."""

    tests: bool
    settings: bool
    program: bool
    picture: bool
    document: bool


@lru_cache(maxsize=4096)
def kind(file: str) -> Kind:
    """Return how a file is looked at."""
    tests, program = _one_of(file, "elsewhere"), _one_of(file, "programs")
    others = tests or program or _one_of(file, "own_rules", "translations")
    settings, document = not others and _one_of(file, "settings"), not tests and _one_of(file, "documents")
    return Kind(tests, settings, program and not tests, _one_of(file, "pictures"), document)


def _one_of(file: str, *lists: str) -> bool:
    return any(fnmatch(file, pattern) for each in lists for pattern in TABLE["files"][each])
