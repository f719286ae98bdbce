"""Passwords: what is accepted, how they are kept, how new ones are made."""

from __future__ import annotations

import re
import secrets

import bcrypt
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from usermgmt.problems import Problem, Refused
from usermgmt.strength import check_strength

SHORTEST = 12
# What bcrypt looks at; a repository that goes back to the version before must still know every password.
LONGEST_BYTES = 72
#: The scheme name that dovecot reads, and the one of hashes that older versions wrote.
MAILBOX_SCHEME, OLDER_SCHEME = "{ARGON2ID}", "{BLF-CRYPT}"
#: Hashes of other servers that are taken over. What they cost is bounded: anybody's log-in pays it.
TAKEN_HASH = re.compile(
    r"\{BLF-CRYPT\}\$2[aby]\$(?:0[4-9]|1[0-3])\$[./A-Za-z0-9]{53}"
    r"|\{ARGON2ID\}\$argon2id\$v=19\$m=(?:\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-6]),t=\d,p=1"
    r"\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,86}"
)
# OWASP's advice. Eight threads at once take 152 of usermgmt's 512 MiB; dovecot can check one lane only.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
BCRYPT_ROUNDS = 12
# Nothing that can be taken for another character when it is read aloud or copied by hand.
READABLE = "abcdefghjkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXYZ2346789"


class Hasher:
    """Makes argon2id hashes; checks those and the bcrypt hashes of older versions. `cheap` is for tests."""

    def __init__(self, cheap: bool = False) -> None:
        memory, rounds = (8, 4) if cheap else (MEMORY_KIB, BCRYPT_ROUNDS)
        self._argon2 = PasswordHasher(PASSES, memory, LANES, type=Type.ID)
        self._quick = PasswordHasher(1, 8, LANES, type=Type.ID)
        self._decoy = self._argon2.hash(secrets.token_urlsafe(16))
        # A salt and a digest of nothing: to check it takes as long, to make it no quarter of a second.
        self._older_decoy = bcrypt.gensalt(rounds) + b"." * 31

    def hash(self, password: str) -> str:
        """An argon2id hash, `$argon2id$…`."""
        return self._argon2.hash(password)

    def hash_for_mailbox(self, password: str) -> str:
        """The same with the scheme name that dovecot reads."""
        return MAILBOX_SCHEME + self.hash(password)

    def hash_generated_for_mailbox(self, password: str) -> str:
        """A hash that costs nothing, of 110 random bits: however fast it is, nobody guesses those."""
        return MAILBOX_SCHEME + self._quick.hash(password)

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether the password is the stored one, of an admin or a mailbox.

        Always looks at one hash of each kind, at a decoy where there is none: an attacker who measures the
        time learns neither which addresses have an account nor which of them still has an older hash.
        """
        candidate = password.encode(errors="replace")
        bare = (stored or "").removeprefix(MAILBOX_SCHEME).removeprefix(OLDER_SCHEME)
        older = bare.startswith("$2")
        by_bcrypt = bcrypt.checkpw(
            candidate[:LONGEST_BYTES].replace(b"\0", b""), bare.encode() if older else self._older_decoy
        )
        by_argon2 = self._verify(self._decoy if older or not bare else bare, candidate)
        if not older and self._is_quick(bare):
            self._verify(self._decoy, candidate)
        return bool(bare) and len(candidate) <= LONGEST_BYTES and (by_bcrypt if older else by_argon2)

    def _verify(self, stored: str, candidate: bytes) -> bool:
        try:
            return self._argon2.verify(stored, candidate)
        except (VerificationError, InvalidHashError):
            return False

    def _is_quick(self, bare: str) -> bool:
        return bare.startswith("$argon2id$") and f"$m={self._quick.memory_cost},t=1," in bare

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash was made by an older version, or with other costs."""
        bare = stored.removeprefix(MAILBOX_SCHEME)
        return not bare.startswith("$argon2id$") or self._argon2.check_needs_rehash(bare)


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
    check_strength(password, address, field)
    return password
