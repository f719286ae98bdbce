"""What looks like a secret: by the name it has, or by the shape of the value."""

from __future__ import annotations

import math
import re
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from policies.shared.rule import read

TABLE = read(Path(__file__).with_name("secrets.yml"))
#: Names whose value is a secret, unless they say that it is a file or a path.
NAMED = re.compile(
    r"(?:^|[_.\-])(?:pass|passwd|password|passphrase|pwd|secret|secrets|token|tokens|apikey|api_key|access_key|"
    r"private_key|secret_key|session_key|encryption_key|des_key|credential|credentials|auth|dsn)(?:$|[_.\-\d])"
    r"|password|passwd|secret|apikey|api[_.\-]?key|access[_.\-]?key|private[_.\-]?key",
    re.IGNORECASE,
)
NOT_NAMED = re.compile(
    r"(?:[_.\-](?:file|files|path|dir|folder|name|id|host|port|type|url|user|username|length|ttl|hash)|accept_any)$",
    re.IGNORECASE,
)
#: Shapes that only secrets have, with the name of each.
SHAPES = [(re.compile(pattern), what) for pattern, what in TABLE["shapes"]]
#: One of these is part of every shape: without one there is no need to look closer.
HINT = re.compile(
    r"PRIVATEKEY|AKIA|ASIA|SG\.|gh[pousr]_|github_pat_|xox[abprs]-|eyJ|\$(?:2[aby]|5|6|y|apr1|argon)"
    r"|hooks\.slack|AIza|glpat-|AGE-SECRET|PuTTY-User|v1\.0-|[Aa]uthorization:|AUTHORIZATION:|LS0tLS1CRUdJTiB|QUdFLVNFQ1JFVC1LRVkt"
)
URL = re.compile(r"[a-z0-9+.-]://[^/\s:@]*:(?P<password>[^/\s@]+)@", re.IGNORECASE)
#: A secret given to a command: --password=x, -px, PASSWORD=x, Authorization: Bearer x.
GIVEN = re.compile(
    r"(?:-(?:[\w-]{0,60}(?:password|passwd|secret|token|api-key))(?:=|\s+)|(?<![\w-])-p(?=[^\s\d/=-])"
    r"|\b\w*(?:PASSWORD|PASSWD|SECRET|TOKEN|_KEY|AUTH|MYSQL_PWD)=|Bearer\s+|requirepass\s+)(?P<value>\"[^\"]*\"|'[^']*'|\S+)"
)
#: Values that stand for nothing yet, or that the shell reads from a file when it runs.
HARMLESS = re.compile(
    r"^[\"']?(?:$|/run/secrets/|\$\(|`|<[^>]*>$|/)|^(?:true|false|yes|no|none|null|\d{1,5})$", re.IGNORECASE
)
REFERENCE = re.compile(r"^[\"']?\$\{?(?P<name>\w+)")
ANYWHERE = re.compile(r"\$\{?(?P<name>\w+)")
#: Short numbers mean nothing as a rule, but a password may be one.
NUMBER = re.compile(r"^\d{4,5}$")
PASSWORD = re.compile(r"(?:pass|passwd|password|pwd)$", re.IGNORECASE)
LONG = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
MIN_ENTROPY = 4.1


def is_named(name: str) -> bool:
    """Tell whether a name says that it holds a secret."""
    return bool(NAMED.search(name)) and not NOT_NAMED.search(name)


def is_holder(name: str) -> bool:
    """Tell by its name whether a file is one that holds secrets; an example of one is not."""
    examples = (".example", ".sample", ".template")
    return any(fnmatch(name, each) for each in TABLE["holders"]) and not name.endswith(examples)


def entropy(text: str) -> float:
    """Return the bits of information a character."""
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def shape(text: str) -> str:
    """Say which secret a text shows by its shape, line breaks notwithstanding; nothing if none."""
    squeezed = "".join(text.split())
    for candidate in {text, squeezed} if HINT.search(squeezed) else ():
        for pattern, what in SHAPES:
            if pattern.search(candidate):
                return what
    url = URL.search(text) if "://" in text else None
    if url and not HARMLESS.match(url["password"]) and not url["password"].startswith("$"):
        return "a password inside an address"
    return ""


def random_looking(text: str) -> bool:
    """Tell whether a text holds a long word that nobody would think up."""
    for word in LONG.findall(text):
        kinds = sum(bool(re.search(kind, word)) for kind in ("[a-z]", "[A-Z]", r"\d"))
        if kinds == 3 and entropy(word) >= MIN_ENTROPY:
            return True
    return False


def given(text: str) -> str:
    """Say what a command line hands over as a secret; nothing if it does not."""
    for matched in GIVEN.finditer(text):
        value = matched["value"]
        reference = REFERENCE.match(value)
        if HARMLESS.match(value) or (reference and not is_named(reference["name"])):
            continue
        return "a password on a command line"
    return ""


def complaint(name: str, value: Any) -> str:
    """Say why a named value is a secret; nothing if it is none. The value itself is never repeated."""
    text = "" if value is None else str(value)
    if found := shape(text):
        return found
    if isinstance(value, bool) or HARMLESS.match(text):
        return ""
    reference = REFERENCE.match(text)
    if reference and (is_named(reference["name"]) or is_named(name)):
        return f"the secret {reference['name']}"
    if is_named(name):
        return "a secret, by its name"
    return "a long random text" if random_looking(text) else ""


def handed_over(name: str, value: Any, from_outside: bool) -> str:
    """Say what is wrong with a variable of a service; one that is not set here comes from the host's."""
    if wrong := complaint(name, value):
        return wrong
    if value is None and from_outside and is_named(name):
        return "a secret of the host's environment"
    for matched in ANYWHERE.finditer(str(value)):
        if is_named(matched["name"]):
            return f"made of the secret {matched['name']}"
    number = NUMBER.match(str(value)) and not isinstance(value, bool)
    return "a secret, by its name" if number and PASSWORD.search(name) else ""
