"""Signatures of this host (Ed25519, RFC 8032) under what it keeps elsewhere: nobody else can add to that.

Encryption does not say who encrypted: age's public keys are no secret, and whoever may write to a bucket may
encrypt to them. The public half of the signing key stands in the owner's key file, as a line of its own.
"""

import base64
import binascii
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import secrets

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE = "backup_signing_key"
PURPOSE = b"mailctl copy off site 2\n"
_LINE = re.compile(r"^#\s*signed by:\s*(\S+)\s*$", re.MULTILINE)


def new_key() -> bytes:
    """A secret key, in base64 on a line."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()) + b"\n"


def line(context: Context) -> str | None:
    """What the owner's key file must hold to check this host's signatures; None: this host has no key yet."""
    found = _own(context)
    return None if found is None else f"# signed by: {found}"


def trusted(context: Context, identity: Path | None = None) -> list[str]:
    """The public keys that count: this host's own, and those in the owner's key file."""
    own = _own(context)
    found = [] if own is None else [own]
    if identity:
        with suppress(OSError, UnicodeDecodeError):  # whoever decrypts says so
            found += _LINE.findall(identity.expanduser().read_text("utf-8"))
    return found


def sign(context: Context, text: bytes) -> bytes:
    """The text with its signature as one more line. Raises Refused: there is no key."""
    key = _secret(context)
    if key is None:
        wrong = "is missing: a copy without a signature would not be restored"
        raise Refused(Problem(f"secrets/{KEY_FILE}", wrong, "make setup"))
    return text + base64.b64encode(key.sign(PURPOSE + text)) + b"\n"


def split(body: bytes, keys: list[str]) -> tuple[bytes, bool]:
    """The first line, and whether the second is its signature by one of the keys."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    text, newline, rest = body.partition(b"\n")
    for key in keys:
        try:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
            public.verify(base64.b64decode(rest.strip(), validate=True), PURPOSE + text + newline)
            return text, True
        except (InvalidSignature, binascii.Error, ValueError):
            continue
    return text, False


def _own(context: Context) -> str | None:
    key = _secret(context)
    return None if key is None else base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _secret(context: Context) -> "Ed25519PrivateKey | None":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        content = (secrets(context) / KEY_FILE).read_bytes()
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(content.strip(), validate=True))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        wrong = f"cannot be used: {getattr(error, 'strerror', None) or 'it is damaged'}"
        raise Refused(Problem(f"secrets/{KEY_FILE}", wrong, "run this as root")) from None
