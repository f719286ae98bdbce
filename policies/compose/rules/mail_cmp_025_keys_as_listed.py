import re
from collections.abc import Iterator
from typing import Any

from policies.compose.project import Service
from policies.compose.rule import ComposeRule
from policies.model import Found, Severity
from policies.shared import tables
from policies.shared.located import mapping, sequence


def _texts(value: Any) -> list[str]:
    """Return what a key holds, each entry as one text."""
    if isinstance(value, dict):
        return [f"{name}={each}" for name, each in value.items()]
    return [str(each) for each in sequence(value)]


class MAIL_CMP_025(ComposeRule):
    """A profile keeps the virus scanner from starting at all; another DNS server tells the relay's name as it
    likes; another runtime, or a provider, is no container with the walls of this file.

    What such keys may hold is data, in policies/data/keys.yml.
    """

    name = "Runtime, provider, profiles, DNS, sysctls and real-time CPU only as in policies/data/keys.yml"
    severity = Severity.HIGH
    fix = "Remove the key, or change policies/data/keys.yml in the same pull request"
    bad = "services:\n  clamav:\n    profiles: [never]\n"
    good = "services:\n  cloudflared:\n    profiles: [edge]\n"

    def check_service(self, service: Service) -> Iterator[Found]:
        """Compare each entry of each key with the table."""
        table = tables.table("keys")
        ours = table["ours"] if service.name in tables.table("services") else {}
        for key, allowed in {**table["any"], **ours}.items():
            more = mapping(table["but"].get(service.name)).get(key)
            patterns = [pattern for pattern in (allowed, more) if pattern]
            for text in _texts(service.get(key)):
                if not any(re.fullmatch(pattern, text) for pattern in patterns):
                    should = " or ".join(patterns) or f"leave {key} out"
                    yield Found(service.where(key), f"{key} has {text}", should, service.name)


check = MAIL_CMP_025()
