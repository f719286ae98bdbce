"""The DNS records that a domain needs, as edge/edge.yml has them.

`mailctl edge` makes and checks those of its zone.
Nothing is looked up here: this service has no way out to the internet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

#: What only the zone of the file has: the host that serves the policy, and where its reports go.
OF_THE_ZONE = ("_mta-sts.", "_smtp._tls.")

PURPOSES = {
    "v=spf1": "SPF",
    "v=DMARC1": "DMARC",
    "v=DKIM1": "DKIM",
    "v=STSv1": "MTA-STS",
    "v=TLSRPTv1": "TLS-RPT",
}


@dataclass(frozen=True)
class Record:
    """One record; no content where only rspamd's key says it."""

    type: str
    name: str
    content: str = ""

    @property
    def purpose(self) -> str:
        """What a TXT record is for, in a word."""
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
    """The records of a domain: those of the file, or the same with the domain's name; None without a file."""
    edge = load(file)
    if edge is None:
        return None
    zone = str(edge.get("zone", ""))
    managed = domain == zone
    found = [Record("MX", domain, host) for host in (edge.get("email_routing") or {}).get("mx", [])]
    for row in edge.get("dns") or []:
        name = str(row["name"])
        own = name == zone or name.endswith("." + zone)
        if own and (managed or not name.startswith(OF_THE_ZONE)):
            found.append(Record(str(row["type"]), name.removesuffix(zone) + domain, str(row["content"])))
    found.append(Record("TXT", f"SELECTOR._domainkey.{domain}"))
    return Records(found, managed)
