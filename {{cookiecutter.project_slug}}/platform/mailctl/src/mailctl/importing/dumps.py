"""Accounts and aliases out of what mailcow, Mailu and docker-mailserver keep them in."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from mailctl.core.errors import Problem, Refused

# What usermgmt and Dovecot both check: bcrypt, and argon2id with one lane.
_BCRYPT = re.compile(r"(?:\{BLF-CRYPT\})?(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53})")
_ARGON2 = re.compile(r"(?:\{ARGON2ID\})?(\$argon2id\$v=19\$m=\d+,t=\d+,p=1\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "Z": "\x1a", "b": "\b"}
_TOKEN = re.compile(
    r"\s+|(?P<sign>[(),;])|(?:_binary\s+)?'(?P<text>(?:[^'\\]|\\.|'')*)'|(?P<word>[^\s(),;']+)", re.DOTALL
)
_MEBI = 1024**2
_MAILCOW_OWN = {"null@localhost", "spam@localhost", "ham@localhost"}


@dataclass
class Account:
    """A mailbox; `quota` in bytes, None: the domain's usual one; `password` only what is checked here too."""

    address: str
    name: str = ""
    quota: int | None = None
    active: bool = True
    password: str = ""


@dataclass
class Directory:
    """What was found; `skipped` says by name what cannot be taken over, and why."""

    accounts: list[Account] = field(default_factory=list)
    aliases: list[tuple[str, list[str], bool]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def settle(self) -> "Directory":
        """Leave out what leads outside, is there twice, or leads to itself."""
        boxes = {account.address for account in self.accounts}
        own = {address.partition("@")[2] for address in [*boxes, *(alias for alias, _, _ in self.aliases)]}
        kept = []
        for source, targets, active in self.aliases:
            if source in boxes and targets == [source]:
                continue  # how mailcow writes a mailbox
            if source in boxes:
                self.skipped.append((source, "is a mailbox that also forwards: set it in its account page"))
                continue
            inside = [each for each in targets if each.partition("@")[2] in own]
            for each in targets:
                if each not in inside:
                    self.skipped.append(
                        (
                            source,
                            f"leads outside, to {each}: add it on the alias's page, and its owner confirms",
                        )
                    )
            if inside:
                kept.append((source, inside, active))
        self.aliases = kept
        return self

    @property
    def domains(self) -> list[str]:
        """All domains that are needed."""
        names = [account.address for account in self.accounts] + [alias for alias, _, _ in self.aliases]
        return sorted({address.partition("@")[2] for address in names})


def hash_of(stored: str) -> str:
    """The hash with the scheme that is written here; empty where the person gets a new password."""
    if found := _BCRYPT.fullmatch(stored):
        return "{BLF-CRYPT}" + found[1]
    if found := _ARGON2.fullmatch(stored):
        return "{ARGON2ID}" + found[1]
    return ""


def mailcow(files: Sequence[Path]) -> Directory:
    """A dump by mysqldump or mariadb-dump of mailcow's database, with the tables' definitions."""
    found = Directory()
    for path in files:
        for table, row in rows(_text(path), {"mailbox", "alias", "alias_domain"}):
            if table == "mailbox":
                _mailcow_box(found, row)
            elif table == "alias":
                _mailcow_alias(found, row)
            else:
                why = f"is another name of {row['target_domain']}: add aliases for its addresses"
                found.skipped.append((f"@{row['alias_domain']}", why))
    return found.settle()


def _mailcow_alias(found: Directory, row: dict[str, str | None]) -> None:
    source = (row["address"] or "").lower()
    targets = [each.strip().lower() for each in (row["goto"] or "").split(",") if each.strip()]
    if own := _MAILCOW_OWN & set(targets):
        found.skipped.append((source, f"leads to mailcow's own {', '.join(sorted(own))}"))
        targets = [each for each in targets if each not in own]
    if targets:
        found.aliases.append((source, targets, row.get("active") != "0"))


def _mailcow_box(found: Directory, row: dict[str, str | None]) -> None:
    address = (row["username"] or "").lower()
    if row.get("kind"):
        found.skipped.append((address, f"is a resource ({row['kind']}), no person"))
        return
    quota = int(row.get("quota") or 0)
    # 2: receives, and may not log in.
    active = row.get("active") or "0"
    password = hash_of(row.get("password") or "") if active == "1" else ""
    found.accounts.append(Account(address, row.get("name") or "", quota or None, active != "0", password))


def mailu(files: Sequence[Path]) -> Directory:
    """What `flask mailu config-export --secrets` writes, YAML or JSON."""
    import yaml

    found = Directory()
    for path in files:
        try:
            content = yaml.safe_load(_text(path))
        except yaml.YAMLError:
            content = None
        if not isinstance(content, dict):
            fix = "flask mailu config-export --secrets --output-file mailu.yml"
            raise Refused(Problem("FILE", "is no export of Mailu", fix, value=str(path)))
        for row in content.get("user") or ():
            quota = row.get("quota_bytes")
            password = hash_of(str(row.get("password") or ""))
            name, active = row.get("displayed_name") or "", row.get("enabled", True)
            found.accounts.append(Account(row["email"].lower(), name, quota or None, bool(active), password))
            if row.get("forward_enabled"):
                to = _list(row.get("forward_destination"))
                found.skipped.append(
                    (row["email"], f"forwards to {', '.join(to)}: set it in its account page")
                )
        for row in content.get("alias") or ():
            _mailu_alias(found, row)
        for row in content.get("domain") or ():
            for other in row.get("alternatives") or ():
                found.skipped.append(
                    (f"@{other}", f"is another name of {row['name']}: add aliases for its addresses")
                )
    return found.settle()


def _mailu_alias(found: Directory, row: dict[str, Any]) -> None:
    source = str(row["email"]).lower()
    if row.get("wildcard") and source.startswith("%@"):
        source = source[1:]
    elif row.get("wildcard"):
        found.skipped.append((source, "is a pattern; only a catch-all (%) can be taken over"))
        return
    found.aliases.append((source, [each.lower() for each in _list(row.get("destination"))], True))


def _list(value: object) -> list[str]:
    given = value if isinstance(value, list) else str(value or "").split(",")
    return [str(each).strip() for each in given if str(each).strip()]


def docker_mailserver(files: Sequence[Path]) -> Directory:
    """The files postfix-accounts.cf, postfix-virtual.cf and dovecot-quotas.cf, by these names."""
    named = {path.name: _text(path) for path in files}
    known = {"postfix-accounts.cf", "postfix-virtual.cf", "dovecot-quotas.cf"}
    if "postfix-accounts.cf" not in named or named.keys() - known:
        fix = f"name some of {', '.join(sorted(known))}; the first one is needed"
        raise Refused(Problem("FILE", "is none of docker-mailserver's", fix, value=" ".join(named)))
    quotas = dict(line.rsplit(":", 1) for line in _lines(named.get("dovecot-quotas.cf", "")) if ":" in line)
    found = Directory()
    for line in _lines(named["postfix-accounts.cf"]):
        address, _, stored = line.partition("|")
        address = address.strip().lower()
        quota = _bytes(quotas.get(address, "0"))
        password = hash_of(stored.partition("|")[0].strip())
        found.accounts.append(Account(address, "", quota or None, True, password))
    for line in _lines(named.get("postfix-virtual.cf", "")):
        source, *targets = re.split(r"[\s,]+", line.lower())
        targets = [each for each in targets if each]
        if "@" in source and targets:
            found.aliases.append((source, targets, True))
        else:
            found.skipped.append((line, "is no address with destinations"))
    return found.settle()


KINDS: dict[str, Callable[[Sequence[Path]], Directory]] = {
    "mailcow": mailcow,
    "mailu": mailu,
    "docker-mailserver": docker_mailserver,
}


def table(found: Directory) -> list[tuple[str, ...]]:
    """The rows that usermgmt imports, the names of the columns first."""
    words = {True: "yes", False: "no"}
    lines: list[tuple[str, ...]] = [("address", "name", "quota", "active", "destinations", "password_hash")]
    for each in found.accounts:
        quota = f"{ceil(each.quota / _MEBI)}M" if each.quota else ""
        lines.append((each.address, each.name, quota, words[each.active], "", each.password))
    return lines + [(source, "", "", words[on], " ".join(to), "") for source, to, on in found.aliases]


def rows(dump: str, wanted: set[str]) -> Iterator[tuple[str, dict[str, str | None]]]:
    """The rows of some tables of a MySQL dump, by the names of their columns. Raises Refused."""
    columns: dict[str, list[str]] = {}
    for made in re.finditer(r"CREATE TABLE (?:IF NOT EXISTS )?`(\w+)` \((.*?)\n\)", dump, re.DOTALL):
        columns[made[1]] = re.findall(r"(?m)^\s*`(\w+)` ", made[2])
    missing = {"mailbox", "alias"} & wanted - columns.keys()
    if missing:
        wrong = f"has no definition of the table {', '.join(sorted(missing))}"
        raise Refused(Problem("FILE", wrong, "dump mailcow's database with mysqldump, without options"))
    start = re.compile(r"INSERT INTO `(\w+)` (?:\(([^)]*)\) )?VALUES")
    for insert in start.finditer(dump):
        if (name := insert[1]) in wanted:
            names = re.findall(r"`(\w+)`", insert[2]) if insert[2] else columns[name]
            for values in _tuples(dump, insert.end()):
                yield name, dict(zip(names, values, strict=False))


def _tuples(dump: str, at: int) -> Iterator[list[str | None]]:
    """The tuples behind VALUES, up to the semicolon."""
    row: list[str | None] | None = None
    while found := _TOKEN.match(dump, at):
        at = found.end()
        if found["sign"] == ";":
            return
        if found["sign"] == "(":
            row = []
        elif found["sign"] == ")" and row is not None:
            yield row
            row = None
        elif row is not None and found["text"] is not None:
            row.append(_unescaped(found["text"]))
        elif row is not None and found["word"]:
            row.append(None if found["word"].upper() == "NULL" else found["word"])
    raise Refused(Problem("FILE", "ends in the middle of a row", "dump the database again"))


def _unescaped(text: str) -> str:
    return re.sub(
        r"\\(.)|''",
        lambda found: _ESCAPES.get(found[1], found[1]) if found[1] else "'",
        text,
        flags=re.DOTALL,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(
            Problem("FILE", "is not text in UTF-8", "unpack it, or dump again", str(path))
        ) from None


def _lines(text: str) -> list[str]:
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def _bytes(text: str) -> int:
    """A size as Dovecot writes it: 5G, 500M, 1024."""
    found = re.fullmatch(r"(\d+)\s*([bkmgt]?)b?", text.strip().lower())
    return int(found[1]) * 1024 ** "bkmgt".index(found[2] or "b") if found else 0
