"""What is tried, and which services each canary goes through: the one list of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_INBOUND = ("postfix", "mailserver-api", "rspamd", "dovecot", "mariadb")

#: Name: the services behind it, the first suspected unless another of them was changed.
CANARIES: dict[str, tuple[str, ...]] = {
    # First: with wrong maps the mail of the others would go to people.
    "maps": ("postfix", "mariadb"),
    "mail": _INBOUND,
    "virus": ("rspamd", "clamav", "mailserver-api", "postfix"),
    "alias": _INBOUND,
    "catch-all": _INBOUND,
    "unknown": ("postfix", "mailserver-api", "mariadb"),
    "disabled": ("postfix", "dovecot", "mariadb"),
    "quota": ("dovecot", "postfix", "mailserver-api", "mariadb"),
    "relay": ("postfix",),
    "junk": ("rspamd", "dovecot", "postfix", "mailserver-api"),
    "login": ("dovecot", "postfix", "mariadb"),
    "app-password": ("dovecot", "postfix", "mariadb"),
    "sender": ("postfix", "dovecot", "mariadb"),
    "signed": ("rspamd", "postfix", "dovecot", "mariadb"),
    "known": ("dovecot", "mariadb"),
    "people": ("dovecot", "mariadb"),
    "webmail": ("roundcube", "usermgmt", "nginx", "dovecot", "mariadb"),
    "admin": ("usermgmt", "nginx", "mariadb"),
}
NAMES = tuple(CANARIES)


@dataclass(frozen=True)
class Canary:
    """One thing that was tried, how long it took in seconds, and what was seen."""

    name: str
    ok: bool
    seconds: float
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def behind(self) -> tuple[str, ...]:
        """The services that it goes through, the likeliest culprit first."""
        return CANARIES.get(self.name, (self.name,))

    def suspect(self, touched: Sequence[str]) -> str:
        """Where to look when it is lost: what was changed last of the services behind it, or at all."""
        mine = [name for name in touched if name in self.behind]
        return (mine or list(touched) or [self.behind[0]])[-1]
