"""The DNS records that a domain needs, as edge/edge.yml has them, and what public DNS says of them.

`mailctl edge` makes and checks those of its zone. Nothing is looked up here, as this service has no way out
to the internet: `mailctl domain dns` looks, on the host, and leaves what it found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy.orm import Session

from usermgmt.models import Domain, DomainDns, utc_now

#: What only the zone of the file has: the host that serves the policy, and where its reports go.
OF_THE_ZONE = ("_mta-sts.", "_smtp._tls.")

PURPOSES = {
    "v=spf1": "SPF",
    "v=DMARC1": "DMARC",
    "v=STSv1": "MTA-STS",
    "v=TLSRPTv1": "TLS-RPT",
}
DKIM = "._domainkey."
#: `unasked`: DNS gave no answer. `no_key`: rspamd has no key for the domain, so there is nothing to publish.
OK, UNKNOWN = "ok", ""
STATES = (OK, "missing", "differs", "unasked", "no_key")
#: mailctl looks every night; a result that is older says little about now.
FRESH = timedelta(days=2)


@dataclass(frozen=True)
class Record:
    """One record; no content where only rspamd's key says it. `found` is what DNS had in its place."""

    type: str
    name: str
    content: str = ""
    state: str = UNKNOWN
    found: tuple[str, ...] = ()

    @property
    def purpose(self) -> str:
        """What a TXT record is for, in a word."""
        if DKIM in self.name:
            return "DKIM"
        found = [purpose for start, purpose in PURPOSES.items() if self.content.startswith(start)]
        return found[0] if found else ""


@dataclass(frozen=True)
class Records:
    """What a domain needs, and whether mailctl looks after it."""

    records: list[Record]
    managed: bool


def load(file: Path | None) -> dict[str, Any] | None:
    """What the file says; None if it is not there or cannot be read."""
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8")) if file else None
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return found if isinstance(found, dict) else None


def records_of(domain: str, file: Path | None) -> Records | None:
    """The records of a domain: those of the file, or the same with the domain's name; None without a file.

    Its CNAMEs are left out: a relay gives each domain other ones, and `mailctl edge check` looks at them.
    """
    edge = load(file)
    if edge is None:
        return None
    zone = str(edge.get("zone", ""))
    managed = domain == zone
    found = [Record("MX", domain, host) for host in (edge.get("email_routing") or {}).get("mx", [])]
    for row in edge.get("dns") or []:
        name = str(row["name"])
        own = name == zone or name.endswith("." + zone)
        if own and row["type"] != "CNAME" and (managed or not name.startswith(OF_THE_ZONE)):
            # Whoever sends DMARC reports sends them to the domain itself (RFC 7489, 7.1).
            content = str(row["content"]).replace("@" + zone, "@" + domain)
            found.append(Record(str(row["type"]), name.removesuffix(zone) + domain, content))
    return Records(found, managed)


def with_states(domain: str, needed: list[Record], checked: DomainDns | None) -> list[Record]:
    """The records with what the last look found, and the DKIM keys that it saw in rspamd."""
    seen = [Record(**{**row, "found": tuple(row["found"])}) for row in checked.records] if checked else []
    known = {(row.type, row.name, row.content): row for row in seen}
    keys = [row for row in seen if DKIM in row.name] or [Record("TXT", f"SELECTOR{DKIM}{domain}")]
    return [known.get((row.type, row.name, row.content), row) for row in needed] + keys


@dataclass(frozen=True)
class Status(Records):
    """The records with their states, and when they were looked up."""

    checked: DomainDns | None

    @property
    def old(self) -> bool:
        """Whether the nightly look does not come any more."""
        return self.checked is not None and utc_now() - self.checked.checked_at > FRESH


def status_of(session: Session, domain: Domain, file: Path | None) -> Status | None:
    """What a domain needs and what DNS has of it; None without a file."""
    needed, checked = records_of(domain.name, file), session.get(DomainDns, domain.id)
    if needed is None:
        return None
    return Status(with_states(domain.name, needed.records, checked), needed.managed, checked)


def wrong(records: list[dict[str, Any]]) -> int:
    """How many records of a look are not in DNS as they should be."""
    return sum(row["state"] != OK for row in records)


def keep(session: Session, domain: Domain, records: list[dict[str, Any]]) -> None:
    """Keep what was found now, in place of what was found before."""
    session.merge(DomainDns(domain_id=domain.id, checked_at=utc_now(), records=records))
