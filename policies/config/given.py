"""The settings of each service as its files have them, one by one, whatever their grammar.

Besides settings there are what rows can judge in the same way, with a name that no setting has: a block
(`passdb {`), a process of Postfix (`process`), a line of a map (`map line`), an SQL statement, a sieve
script.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from policies.config import php
from policies.config.braces import Block
from policies.config.postfix import Parameters, Process
from policies.config.reader import Configuration
from policies.config.settings import Settings
from policies.model import Place

#: Names of what is judged like a setting and is none.
NO_SETTINGS = ("process", "map line", "statement", "passdb {")
#: Parameters whose value in each process matters, also where no option of it says so.
OF_PROCESSES = ("smtpd_sasl_auth_enable", "smtpd_tls_security_level")
SQL_COMMENT = re.compile(r"--\s[^\n]*|/\*(?!!).*?\*/", re.DOTALL)
SIEVE_TEXT = re.compile(r"/\*.*?\*/|#[^\n]*|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
LUA_COMMENT = re.compile(r"--\[\[.*?\]\]|--[^\n]*", re.DOTALL)
#: PHP's own options, and what TLS options of a connection say.
INI_SET = re.compile(r"\bini_set\s*\(\s*['\"](?P<name>[\w.]+)['\"]\s*,\s*(?P<value>[^)]*)\)")
TLS = re.compile(
    r"['\"](?P<name>verify_peer|verify_peer_name|allow_self_signed)['\"]\s*(?:=>|\]\s*=(?!=))\s*(?P<value>[^,;\]\)]+)"
)


@dataclass(frozen=True)
class Given:
    """One setting as a file has it; `inside` names the blocks around it, `raw` is the value as written if
    `value` is what becomes of it.
    """

    name: str
    value: str
    place: Place
    inside: str = ""
    raw: str = ""


def _place(file: str, text: str, position: int) -> Place:
    return Place(file, text.count("\n", 0, position) + 1)


def _of_block(tree: Block, inside: str = "") -> Iterator[Given]:
    for setting in tree.settings:
        yield Given(setting.name, setting.value, setting.place, inside)
    for block in tree.blocks:
        driver = block.get("driver") or block.get(f"{block.name}_driver") or block.label
        yield Given(f"{block.name} {{", driver, block.place, inside)
        yield from _of_block(block, f"{inside}/{block.name} {block.label}".rstrip())


def _of_flat(settings: Settings) -> Iterator[Given]:
    for name, value in settings.values.items():
        yield Given(name, value, settings.where(name))


def postfix(subject: Configuration) -> Iterator[Given]:
    """Yield main.cf, expanded as Postfix does; what each process sees otherwise; and lines of maps."""
    main = subject.postfix_main
    if main is None:
        return
    yield from _of_parameters(main, tuple(main.values), "")
    referring = tuple(name for name, value in main.values.items() if "$" in value)
    for process in subject.postfix_master:
        view, inside = process.view(main), _inside(process, process.view(main))
        yield Given("process", f"{process.command} {' '.join(process.words)}", process.place, inside)
        names = (*process.options, *(referring if process.options else ()))
        names += OF_PROCESSES if process.command == "smtpd" else ()
        yield from _of_parameters(view, tuple(dict.fromkeys(names)), inside, process.place)
    for file in subject.files("postfix map", "config/postfix/"):
        for number, line in subject.lines(file):
            yield Given("map line", line, Place(file, number), f"/{file.rpartition('/')[2]}")


def _of_parameters(
    view: Parameters, names: tuple[str, ...], inside: str, missing: Place | None = None
) -> Iterator[Given]:
    for name in names:
        place = missing if missing and name not in view.values else view.where(name)
        yield Given(name, view.expanded(name), place, inside, view.get(name))


def _inside(process: Process, view: Parameters) -> str:
    """Return what rows know about a process: its kind, port and command, whether it offers AUTH, and how."""
    auth = " auth" if view.says("smtpd_sasl_auth_enable", "no") != "no" else ""
    wrapped = " wrapped" if view.says("smtpd_tls_wrappermode", "no") == "yes" else ""
    return f"/{process.kind} {process.port} {process.command}{auth}{wrapped}"


def dovecot(subject: Configuration) -> Iterator[Given]:
    """Yield every setting and block, and what sieve scripts do."""
    for tree in subject.blocks("dovecot"):
        yield from _of_block(tree)
    for file in subject.files("sieve", "config/dovecot/"):
        code = SIEVE_TEXT.sub(" ", subject.text(file) or "")
        yield Given("sieve script", code, Place(file), f"/{file.rpartition('/')[2]}")


def rspamd(subject: Configuration) -> Iterator[Given]:
    """Yield every setting; the name of its file stands in front of the blocks around it. Scripts as well."""
    for tree in subject.blocks("ucl", "config/rspamd/"):
        yield from _of_block(tree, tree.place.file.rpartition("/")[2])
    for kind in ("lua", "script"):
        for file in subject.files(kind, "config/rspamd/"):
            text = subject.text(file) or ""
            code = LUA_COMMENT.sub(" ", text) if kind == "lua" else re.sub(r"(?m)^\s*#.*$", "", text)
            name = "lua script" if kind == "lua" else "shell script"
            yield Given(name, code, Place(file), file.rpartition("/")[2])


def nginx(subject: Configuration) -> Iterator[Given]:
    """Yield every directive."""
    for tree in subject.blocks("nginx"):
        yield from _of_block(tree)


def roundcube(subject: Configuration) -> Iterator[Given]:
    """Yield each assignment without quotes, a later one or not; options of TLS and of PHP; and php.ini."""
    for file in subject.files("php", "config/roundcube/"):
        text = (subject.text(file) or "").removeprefix("<?php")
        for statement, line in php.statements(text):
            if matched := php.ASSIGNED.match(statement):
                value = re.sub(r"['\"]", "", php.truth(matched["value"]))
                yield Given(matched["name"], value, Place(file, line))
            for matched in TLS.finditer(statement):
                place = Place(file, line + statement.count("\n", 0, matched.start()))
                yield Given(matched["name"], php.truth(matched["value"]), place)
            for matched in INI_SET.finditer(statement):
                value = matched["value"].strip(" '\"")
                yield Given(matched["name"].replace("_", "-"), value, Place(file, line))
    for file in subject.files("ini", "config/roundcube/"):
        if settings := subject.flat(file):
            yield from _of_flat(settings)


def mariadb(subject: Configuration) -> Iterator[Given]:
    """Yield the options of files and of the service's command, and each statement of the first start."""
    for file in subject.files("ini", "config/mariadb/"):
        for settings in subject.in_force(file, "mariadb", bare=True):
            yield from _of_flat(settings)
    for kind in ("sql", "script"):
        for file in subject.files(kind, "config/mariadb/"):
            text = subject.text(file) or ""
            plain = SQL_COMMENT.sub(lambda matched: "\n" * matched.group().count("\n"), text)
            for matched in re.finditer(r"[^;]*\S[^;]*", plain):
                start = matched.start() + len(matched.group()) - len(matched.group().lstrip())
                said, inside = " ".join(matched.group().split()), f"/{file.rpartition('/')[2]}"
                yield Given("statement", said, _place(file, plain, start), inside)


def valkey(subject: Configuration) -> Iterator[Given]:
    """Yield the settings of the file, with those of the service's command over them."""
    for file in subject.files("words", "config/valkey/"):
        for settings in subject.in_force(file, "valkey"):
            for each in _of_flat(settings):
                yield each if each.place.file == file else replace(each, inside="/command")


def clamav(subject: Configuration) -> Iterator[Given]:
    """Yield every line: an option that may stand twice counts each time."""
    for file in subject.files("words", "config/clamav/"):
        for number, line in enumerate((subject.text(file) or "").splitlines(), 1):
            name, _, value = re.sub(r"\s+", " ", line.strip()).partition(" ")
            if name and not name.startswith("#"):
                value = value.strip().strip("\"'")
                yield Given(name.lower(), value, Place(file, number), file.rpartition("/")[2])


def radicale(subject: Configuration) -> Iterator[Given]:
    """Yield every setting; `inside` is its section, as several have a setting of the same name."""
    for file in subject.files("ini", "config/radicale/"):
        section = ""
        for number, line in enumerate((subject.text(file) or "").splitlines(), 1):
            name, sign, value = line.strip().partition("=")
            if line.strip().startswith("["):
                section = line.strip().strip("[] ")
            elif sign and name[0] not in "#;":
                yield Given(name.strip(), value.strip(), Place(file, number), f"/{section}")


#: What yields the settings of each service that has a table.
GIVEN: dict[str, Callable[[Configuration], Iterator[Given]]] = {
    each.__name__: each
    for each in (postfix, dovecot, rspamd, nginx, roundcube, mariadb, valkey, clamav, radicale)
}
#: Where a setting is missing that nobody wrote.
WHOLE = {
    "postfix": "config/postfix/main.cf",
    "dovecot": "config/dovecot/dovecot.conf",
    "rspamd": "config/rspamd/local.d/options.inc",
    "nginx": "config/nginx/*.conf",
    "roundcube": "config/roundcube/mailserver.php",
    "mariadb": "config/mariadb/*.cnf",
    "valkey": "config/valkey/valkey.conf",
    "clamav": "config/clamav/clamd.conf",
    "radicale": "config/radicale/config",
}
