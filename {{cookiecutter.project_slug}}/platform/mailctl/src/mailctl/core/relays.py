"""The relay of this repository: what main.cf says about it, and what platform/relays.yml knows of it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mailctl.core.errors import Problem, Refused

TABLE, MAIN, EDGE = "platform/relays.yml", "config/postfix/main.cf", "edge/edge.yml"
# A relay that the table does not name.
OTHER, SMTP_PORT = "smtp", 25
RELAYHOST = re.compile(r"(?m)^relayhost\s*=\s*\[?([^\]:\s]+)\]?(?::(\d+))?\s*$")
WRAPPED = re.compile(r"(?m)^smtp_tls_wrappermode\s*=\s*yes\s*$")

#: Type, name and content of a DNS record.
Entry = tuple[str, str, str]


@dataclass(frozen=True)
class Relay:
    """`facts` is the relay's row of the table; `wrapped`: Postfix begins with TLS, not with STARTTLS."""

    name: str
    facts: dict[str, Any]
    host: str
    port: int
    wrapped: bool

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.host if self.name == OTHER else str(self.facts["title"])

    @property
    def tls(self) -> bool | None:
        """Whether this port speaks TLS from the first byte; None where the table does not know the port."""
        mode = self.facts["ports"]["value"].get(self.port)
        return None if mode is None else bool(mode == "tls")

    @property
    def username(self) -> str:
        """The name that everybody logs in with; empty where each account has its own."""
        return str(self.facts["username"]["value"])

    @property
    def api(self) -> str:
        """Where its web API reads back what a key may do; empty where there is none. Regional as its host."""
        api = str(self.facts.get("api", {}).get("value", ""))
        return api.replace("//api.", "//api.eu.") if ".eu." in self.host else api

    @property
    def enters_records(self) -> bool:
        """Whether the relay makes its DNS records itself."""
        return bool(self.facts["records"]["made_by"] == "relay")

    def missing(self, domain: str, there: Iterable[Entry]) -> Iterator[str]:
        """The relay's DNS records that are not among those, one text for each kind; * is what it chooses."""
        found = [(kind, name.lower(), content.rstrip(".").lower()) for kind, name, content in there]
        for row in self.facts["records"]["value"]:
            name, content = (str(row[key]).replace("{domain}", domain) for key in ("name", "content"))
            shape = (row["type"], name.lower(), content.lower())
            lacking = row["count"] - sum(_fits(entry, shape) for entry in found)
            if lacking > 0:
                yield f"{lacking} {row['type']} {name} to {content}"


def configured(repo: Path) -> Relay:
    """The relay that Postfix hands mail to. Raises Refused when main.cf or the table cannot be used."""
    import yaml

    main = _read(repo, MAIN)
    found = RELAYHOST.findall(main)
    if not found:
        raise Refused(Problem(MAIN, "names no relayhost", "relayhost = [host]:587"))
    host, port = found[-1]
    table: dict[str, dict[str, Any]] = yaml.safe_load(_read(repo, TABLE))
    fits = (each for each, row in table.items() if re.search(row["host"].get("pattern", "$^"), host))
    name = next(fits, OTHER)
    return Relay(name, table[name], host, int(port or SMTP_PORT), bool(WRAPPED.search(main)))


def pasted(repo: Path) -> list[Entry]:
    """The DNS records that stand in edge.yml."""
    import yaml

    rows = (yaml.safe_load(_read(repo, EDGE)) or {}).get("dns") or []
    return [(row["type"], row["name"], row["content"]) for row in rows]


def _fits(entry: Entry, shape: Entry) -> bool:
    return entry[0] == shape[0] and all(map(fnmatchcase, entry[1:], shape[1:]))


def _read(repo: Path, name: str) -> str:
    try:
        return (repo / name).read_text("utf-8")
    except OSError as error:
        raise Refused(Problem(name, f"cannot be read: {error.strerror}", f"git checkout -- {name}")) from None
