"""Passwords: what is accepted, how they are kept, how new ones are made."""

from __future__ import annotations

import secrets

import bcrypt

from usermgmt.problems import Problem, Refused

SHORTEST = 12
# bcrypt looks at no more than this; a longer password would be cut without a word.
LONGEST_BYTES = 72
MAILBOX_SCHEME = "{BLF-CRYPT}"
DEFAULT_ROUNDS = 12
# Nothing that can be taken for another character when it is read aloud or copied by hand.
READABLE = "abcdefghjkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXYZ2346789"


class Hasher:
    """Makes and checks bcrypt hashes with a fixed cost (2^rounds)."""

    def __init__(self, rounds: int = DEFAULT_ROUNDS) -> None:
        self.rounds = rounds
        self._decoy = self.hash(secrets.token_urlsafe(16))

    def hash(self, password: str) -> str:
        """A bcrypt hash, `$2b$…`."""
        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(self.rounds)).decode()

    def hash_for_mailbox(self, password: str) -> str:
        """The same with the scheme name that dovecot reads."""
        return MAILBOX_SCHEME + self.hash(password)

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether the password is the stored one; takes as long when there is nothing stored.

        Without that an attacker could measure which addresses belong to admins.
        """
        candidate = password.encode(errors="replace")[:LONGEST_BYTES].replace(b"\0", b"")
        correct = bcrypt.checkpw(candidate, (stored or self._decoy).encode())
        return correct and stored is not None and len(password.encode(errors="replace")) <= LONGEST_BYTES


def generate_password() -> str:
    """20 random readable characters (over 110 bits) in groups of five."""
    return "-".join("".join(secrets.choice(READABLE) for _ in range(5)) for _ in range(4))


def check_password(password: str, address: str, field: str = "password") -> str:
    """The password if it is fit for `address`; raises Refused, never repeating the password."""
    wrong, instead = "", ""
    if len(password) < SHORTEST:
        wrong, instead = (
            "The password is too short.",
            "Use at least 12 characters; four random words are good.",
        )
    elif len(password.encode(errors="replace")) > LONGEST_BYTES:
        wrong, instead = (
            "The password is too long.",
            "Use at most 72 characters (fewer if they have accents).",
        )
    elif not password.isprintable():
        wrong, instead = (
            "The password has an invisible character.",
            "Type it by hand, on one line, without tabs.",
        )
    elif address and address.rpartition("@")[0] and password.lower() in (address, address.replace("@", "")):
        wrong, instead = "The password is the address.", "Use something that nobody can look up."
    elif len(set(password)) < 5:
        wrong, instead = "The password repeats few characters.", "Use at least 5 different characters."
    if wrong:
        raise Refused(Problem(field, "", wrong, instead))
    return password
