"""What every part of a plan works with."""

from dataclasses import dataclass, field
from typing import Any

from mailctl.edge.cloud import Cloud
from mailctl.edge.host import Key, SecretFiles

OURS = "mailctl"


@dataclass
class Session:
    """One comparison: the file, Cloudflare, and the host. `keys` is None where rspamd does not run."""

    edge: dict[str, Any]
    cloud: Cloud
    secrets: SecretFiles
    keys: tuple[Key, ...] | None
    adopt: frozenset[str] = field(default_factory=frozenset)
    prune: bool = False

    @property
    def mark(self) -> str:
        """What stands on everything of ours: comments of DNS records, names of rules and applications."""
        return f"{OURS}: {self.edge['owner']}"

    @property
    def zone(self) -> str:
        return str(self.edge["zone"])

    def adopts(self, name: str) -> bool:
        return name in self.adopt
