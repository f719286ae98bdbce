"""What a secret may look like when the operator chooses it, and how one is made when nobody does."""

import re
import secrets
import string
from dataclasses import dataclass

ALPHANUMERIC = string.ascii_letters + string.digits
# Without the characters that are easily mistaken for each other when read from a screen: 0 O o, 1 l I.
READABLE = "".join(c for c in ALPHANUMERIC if c not in "0Oo1lI")
# Words that example files carry: they mean "not chosen yet".
NOT_CHOSEN = frozenset({"changeme", "changethis", "replaceme", "replacethis"})


@dataclass(frozen=True)
class Rule:
    """The characters and least length of a value that comes from outside, and how it begins."""

    allowed: str
    words: str
    minimum: int
    start: str = ""

    def complaint(self, value: str) -> str | None:
        """What is wrong with `value`, without a trace of the value itself; None when it is good."""
        if value.startswith("<") and value.endswith(">"):
            return "still the placeholder of the example file"
        if not re.fullmatch(f"[{self.allowed}]*", value):
            return f"has characters other than {self.words}"
        if len(value) < self.minimum:
            return f"is too short: {len(value)} of at least {self.minimum} characters"
        if not re.match(self.start, value):
            return "does not begin as it must"
        return None


# These land in DSNs and in configuration files of six programs: only what none of them treats specially.
PASSWORD = Rule("A-Za-z0-9._~-", "letters, digits and . _ ~ -", 12)
# A bearer token is tried from the internet, hence longer than a password of an internal network.
TOKEN = Rule("A-Za-z0-9._~-", "letters, digits and . _ ~ -", 32)
PROVIDER_KEY = Rule("!-~", "printable ASCII without spaces", 8)
ALARM_URL = Rule("!-~", "a URL such as ntfys://ntfy.sh/NAME", 8, "[a-z][a-z0-9+.-]*://")


def is_chosen(value: str) -> bool:
    """Whether the operator gave a value at all; empty and "change-me" are none."""
    return bool(value) and re.sub("[-_]", "", value.lower()) not in NOT_CHOSEN


def alphanumeric(length: int) -> bytes:
    return _from(ALPHANUMERIC, length)


def readable(length: int) -> bytes:
    """A password that a person types from a screen."""
    return _from(READABLE, length)


def hexadecimal(length: int) -> bytes:
    return secrets.token_hex(length // 2).encode()


def url_safe_token() -> bytes:
    """256 bits in 43 characters."""
    return secrets.token_urlsafe(32).encode()


def _from(alphabet: str, length: int) -> bytes:
    return "".join(secrets.choice(alphabet) for _ in range(length)).encode()
