"""What mail programs are told: where the servers are, and for a phone a profile or a link to it.

The link holds the app password itself, encrypted, so nothing is kept for it. It works for a quarter of an
hour, and only until the app password was used or revoked.
"""

from __future__ import annotations

import base64
import hashlib
import plistlib
import uuid
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.models import AppPassword, Domain, Mailbox

IMAP, SUBMISSION, SIEVE = 993, 465, 4190
LASTS_SECONDS = 15 * 60
#: Of what the server's own authority signs, which phones do not know (mailctl names it so).
OWN_AUTHORITY = "internal CA"


@dataclass(frozen=True)
class Opened:
    """What a link that works leads to."""

    email: str
    name: str
    password: str


def link(session_key: str, mailbox: Mailbox, password: str) -> str:
    """What the link says: nobody without the session key reads it, or makes another."""
    return _box(session_key).encrypt(f"{mailbox.id}:{password}".encode()).decode()


def open_link(session: Session, session_key: str, said: str) -> Opened | None:
    """Whose link it is, while it works."""
    try:
        text = _box(session_key).decrypt(said.encode(), ttl=LASTS_SECONDS).decode()
    except (InvalidToken, ValueError):
        return None
    number, _, password = text.partition(":")
    unused = (
        AppPassword.mailbox_id == int(number),
        AppPassword.password_hash == hashlib.sha256(password.encode()).hexdigest(),
        AppPassword.last_used_at.is_(None),
    )
    active = (Mailbox.active, Domain.active, Mailbox.deleted_at.is_(None))
    found = select(Mailbox).join(AppPassword).join(Domain, Domain.id == Mailbox.domain_id)
    mailbox = session.scalar(found.where(*unused, *active))
    return None if mailbox is None else Opened(mailbox.email, mailbox.display_name, password)


def _box(session_key: str) -> Fernet:
    """A key of its own for this use."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"programs:{session_key}".encode()).digest()))


def profile(host: str, opened: Opened) -> bytes:
    """A configuration profile for iPhone, iPad and Mac, not signed yet.

    https://developer.apple.com/documentation/devicemanagement/mail. The same mailbox has the same
    identifiers, so that another one takes its place.
    """
    name = f"{'.'.join(reversed(host.split('.')))}.{opened.email}"
    account = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{name}.mail",
        "PayloadUUID": _number(f"{name}.mail"),
        "EmailAccountDescription": opened.email,
        "EmailAccountName": opened.name,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAddress": opened.email,
        "IncomingPassword": opened.password,
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    for way, port in (("Incoming", IMAP), ("Outgoing", SUBMISSION)):
        account |= {
            f"{way}MailServerAuthentication": "EmailAuthPassword",
            f"{way}MailServerHostName": host,
            f"{way}MailServerPortNumber": port,
            f"{way}MailServerUseSSL": True,
            f"{way}MailServerUsername": opened.email,
        }
    whole = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": name,
        "PayloadUUID": _number(name),
        "PayloadDisplayName": opened.email,
        "PayloadOrganization": host,
        "PayloadContent": [account],
    }
    return plistlib.dumps(whole)


def _number(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name)).upper()


def signed(content: bytes, file: Path) -> bytes:
    """The profile inside a CMS signature (DER), by what is in the file. Raises OSError and ValueError."""
    key, certificate, *above = _read(file)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(certificate, key, hashes.SHA256())
    for each in above:
        builder = builder.add_certificate(each)
    return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def is_trusted(file: Path | None) -> bool:
    """Whether a phone can know who signed the certificate: not so while it is the server's own authority."""
    try:
        _, certificate, *above = _read(file) if file else (None, None)
    except (OSError, ValueError):
        return False
    last = above[-1] if above else certificate
    return last is not None and OWN_AUTHORITY not in last.issuer.rfc4514_string()


def _read(file: Path):  # type: ignore[no-untyped-def]
    content = file.read_bytes()
    key = serialization.load_pem_private_key(content, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("neither an EC nor an RSA key")
    return key, *x509.load_pem_x509_certificates(content)
