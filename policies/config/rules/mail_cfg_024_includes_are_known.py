"""MAIL_CFG_024: includes name files of this repository or of /run/secrets."""

import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatch

from policies.config import php
from policies.config.reader import Configuration, mount
from policies.model import Found, Place

#: What only the running container has: secrets, what a start script writes from them, what mailctl holds.
MADE = re.compile(r"^/run/(?:secrets|rspamd|hold/dovecot)/[\w.-]+$")
#: Files of an image that hold no decisions.
HARMLESS = ("/etc/nginx/mime.types", "mime.types", "/etc/nginx/fastcgi_params", "/etc/nginx/proxy_params")
PHP = re.compile(r"\b(?:include|require)(?:_once)?\b\s*\(?\s*(?P<what>[^;)]*)")


def check(subject: Configuration) -> Iterator[Found]:
    """Look at the includes of every kind of file."""
    for file, kind in subject.kinds.items():
        for what, place in _includes(subject, file, kind):
            if not (MADE.match(what) or what in HARMLESS or _ours(subject, file, kind, what)):
                said = f"{what} is read by no rule"
                yield Found(place, said, "a file of this repository", f"{file}/{what}")


def _includes(subject: Configuration, file: str, kind: str) -> Iterator[tuple[str, Place]]:
    if kind in ("nginx", "dovecot", "ucl"):
        tree = subject.block(file)
        for setting in (each for block in tree.walk() for each in block.settings) if tree else ():
            macro = kind == "ucl" and setting.name.startswith(".") and "comment" not in setting.name
            if macro or setting.name == "include" or setting.name.startswith("!include"):
                yield setting.value or setting.name, setting.place
    elif kind == "php":
        for statement, line in php.statements((subject.text(file) or "").removeprefix("<?php")):
            for matched in PHP.finditer(statement):
                words = php.literals(matched["what"])
                yield (words[0] if len(words) == 1 else matched["what"]), Place(file, line)
    elif kind in ("ini", "words") and (settings := subject.flat(file)):
        for name, value in settings.values.items():
            if name.split()[0] in ("include", "!include", "!includedir"):
                yield value, settings.where(name)


def _ours(subject: Configuration, file: str, kind: str, what: str) -> bool:
    row = mount(file)
    if what.startswith("/"):
        here, inside = row.get("files", "").partition("*")[0], f"{row.get('folder')}/"
        path = here + what.removeprefix(inside) if what.startswith(inside) else ""
    else:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), what))
    return any(its == kind and fnmatch(each, path) for each, its in subject.kinds.items())
