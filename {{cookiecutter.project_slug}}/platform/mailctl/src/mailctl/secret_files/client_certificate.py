"""The certificate that mail programs see, with its key and those that lead to its authority, in one file.

One file, since Postfix and Dovecot read key and certificates one after the other: two files could not be
changed at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mailctl.secret_files.certificates import covered_names, ends_soon, new_key, parse, service_certificate

FILE, MODE = "client_tls.pem", 0o444
# Parts of its whole life that are left: of 90 days the last 30, as Let's Encrypt asks, of 45 the last 15.
RENEW_BELOW, ALARM_BELOW = 1 / 3, 1 / 5


@dataclass(frozen=True)
class ClientCertificate:
    """What the file holds; `own` says that our own authority signed it."""

    chain: tuple[x509.Certificate, ...]
    own: bool

    @property
    def ends(self) -> datetime:
        return self.chain[0].not_valid_after_utc

    @property
    def left(self) -> timedelta:
        return self.ends - datetime.now(UTC)

    @property
    def life(self) -> float:
        """Seconds from its first moment to its last."""
        return (self.ends - self.chain[0].not_valid_before_utc).total_seconds()

    def below(self, part: float) -> bool:
        """Whether less than that part of its life is left."""
        return self.left.total_seconds() < self.life * part

    def names(self) -> set[str]:
        return covered_names(self.chain[0])


def read(content: bytes, ca_pem: bytes = b"") -> ClientCertificate | None:
    """What is in the file; None unless it is whole: the key, its certificate, and each signed by the next."""
    try:
        key, chain = load_pem_private_key(content, None), tuple(x509.load_pem_x509_certificates(content))
        if key.public_key() != chain[0].public_key() or not content.endswith(b"-----END CERTIFICATE-----\n"):
            return None
        for one, issuer in pairwise(chain):
            one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return None
    ca = parse(ca_pem)
    return ClientCertificate(chain, ca is not None and chain[-1].public_key() == ca.public_key())


def kept_or_own(existing: bytes, ca_pem: bytes, ca_key_pem: bytes, names: Sequence[str]) -> bytes:
    """The file as it is while it is whole, valid and of that name, else one of our own authority."""
    found = read(existing, ca_pem)
    good = found is not None and covers(found, names) and found.left > timedelta()
    if found and good and not (found.own and ends_soon(found.chain[0])):
        return existing
    key = new_key()
    return key + service_certificate(b"", key, ca_pem, ca_key_pem, names) + ca_pem


def covers(found: ClientCertificate, names: Iterable[str]) -> bool:
    """Whether it is good for all these names."""
    return set(names) <= found.names()
