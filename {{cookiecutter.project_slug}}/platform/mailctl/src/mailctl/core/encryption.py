"""Encryption with age: to the owner's key, which is kept offline, and to this host's own, for drills."""

import errno
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import secrets

if TYPE_CHECKING:
    from pyrage import x25519

SETTING, HOST_IDENTITY = "BACKUP_AGE_RECIPIENTS", "backup_age_identity"
MAKE_KEY = "make backup-key, and keep what it shows away from this host"


def new_identity() -> bytes:
    """A secret key, as `age-keygen` writes it."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    return f"# public key: {identity.to_public()}\n{identity}\n".encode()


def public(identity: str) -> str:
    """The recipient (age1…) that belongs to a secret key."""
    return str(_identity(identity, "the key").to_public())


def recipients(context: Context) -> list[str]:
    """The owner's public keys and the host's own. Raises Refused: no owner's key is set, or one is wrong."""
    owners = [word for word in re.split(r"[\s,]+", context.setting(SETTING)) if word]
    if not owners:
        wrong = "is not set: nobody could read the encrypted parts after a loss of this host"
        raise Refused(Problem(SETTING, wrong, MAKE_KEY))
    for word in owners:
        _recipient(word)
    own = [public(key) for key in identities(context, None)] if host_identity(context).exists() else []
    return list(dict.fromkeys([*owners, *own]))


def host_identity(context: Context) -> Path:
    return secrets(context) / HOST_IDENTITY


def identities(context: Context, file: Path | None = None) -> list[str]:
    """The secret keys in `file` (the owner's), else the host's own. Raises Refused when there is none."""
    path = file.expanduser() if file else host_identity(context)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        fix = (
            "name the owner's key with --identity FILE"
            if file is None
            else "name the file that holds the key"
        )
        wrong = f"the secret key cannot be read: {reason}"
        raise Refused(Problem("age key", wrong, fix, value=str(path))) from None
    found = [line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-")]
    if not found:
        wrong = "holds no line AGE-SECRET-KEY-…"
        raise Refused(Problem("age key", wrong, "name the file that make backup-key wrote", value=str(path)))
    for key in found:
        _identity(key, str(path))
    return found


def encrypt(source: IO[bytes], target: IO[bytes], recipients: list[str]) -> None:
    """Stream `source` into `target`, readable by each of `recipients`. Raises OSError, on a full disk too."""
    import pyrage

    try:
        pyrage.encrypt_io(source, target, [_recipient(word) for word in recipients])
    except pyrage.EncryptError as error:  # it wraps what writing raised
        raise OSError(errno.EIO, str(error)) from None


def decrypt(source: IO[bytes], target: IO[bytes], identities: list[str]) -> None:
    """Stream the content of `source` into `target`. Raises Refused: other keys, or damaged data.

    What was written before the damage was met must not be used.
    """
    import pyrage

    try:
        pyrage.decrypt_io(source, target, [_identity(key, "the key") for key in identities])
    except (pyrage.DecryptError, OSError) as error:
        wrong = f"cannot be decrypted: {error}"
        fix = "use the key whose public half was in BACKUP_AGE_RECIPIENTS then: --identity FILE"
        raise Refused(Problem(getattr(source, "name", "encrypted file"), wrong, fix)) from None


def _recipient(word: str) -> "x25519.Recipient":
    from pyrage import RecipientError, x25519

    try:
        return x25519.Recipient.from_str(word)
    except (RecipientError, ValueError):
        wrong = "is not an age public key"
        raise Refused(Problem(SETTING, wrong, f"age1… is expected; {MAKE_KEY}", value=word)) from None


def _identity(key: str, place: str) -> "x25519.Identity":
    from pyrage import IdentityError, x25519

    try:
        return x25519.Identity.from_str(key)
    except (IdentityError, ValueError):
        wrong = "holds a damaged secret key (not shown)"
        raise Refused(Problem("age key", wrong, "take it from your other copy", value=place)) from None
