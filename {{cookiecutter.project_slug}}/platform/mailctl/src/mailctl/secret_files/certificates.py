"""The internal certificate authority and what it signs: TLS between services, never for browsers."""

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
SERVICE_DAYS = 825
# `make setup` replaces a certificate that has fewer days left, and `secrets status` asks for it.
RENEW_DAYS = 30
# Clocks of containers and host may differ a little; a certificate must not be "not yet valid" for that.
CLOCK_SLACK = timedelta(hours=1)


def new_key() -> bytes:
    """A fresh P-256 key as unencrypted PKCS #8 PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def self_signed_ca(existing: bytes, key_pem: bytes, slug: str) -> bytes:
    """The CA's certificate for this key: the existing one while it fits the key and is valid, else a new one.

    What the old one signed stays good under the new one, which has the same key and name.
    """
    key = _key(key_pem)
    found = parse(existing)
    if found and found.public_key() == key.public_key() and not ends_soon(found):
        return existing
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{slug} internal CA"[:64])])
    builder = (
        _builder(name, name, key.public_key(), datetime.now(UTC) + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
    )
    return _pem(builder.sign(key, hashes.SHA256()))


def service_certificate(
    existing: bytes,
    key_pem: bytes,
    ca_pem: bytes,
    ca_key_pem: bytes,
    names: Iterable[str],
    peer: bool = False,
) -> bytes:
    """The existing certificate while it fits its key and this CA and is valid, else a new one for `names`.

    With `peer` it is good for connecting as well: members of the database show theirs to each other.
    """
    if (found := parse(existing)) and fits(existing, key_pem, ca_pem) and not ends_soon(found):
        return existing
    key, ca_key, ca = _key(key_pem), _key(ca_key_pem), x509.load_pem_x509_certificate(ca_pem)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    names = list(dict.fromkeys(names))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    end = min(datetime.now(UTC) + timedelta(days=SERVICE_DAYS), ca.not_valid_after_utc)
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if peer else [])]
    builder = (
        _builder(subject, ca.subject, key.public_key(), end)
        .add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(authority, critical=False)
    )
    return _pem(builder.sign(ca_key, hashes.SHA256()))


def fits(existing: bytes, key_pem: bytes, ca_pem: bytes) -> bool:
    """Whether the certificate belongs to the key and is signed by the CA."""
    found = parse(existing)
    if not found or found.public_key() != _key(key_pem).public_key():
        return False
    try:
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_pem))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def ends_soon(certificate: x509.Certificate) -> bool:
    """Whether it has expired, or will within RENEW_DAYS."""
    return certificate.not_valid_after_utc - datetime.now(UTC) < timedelta(days=RENEW_DAYS)


def parse(pem: bytes) -> x509.Certificate | None:
    """The certificate in `pem`, or None when there is none to be read."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None


def is_private_key(pem: bytes) -> bool:
    """Whether `pem` holds an unencrypted EC key, the only kind mailctl makes."""
    try:
        return isinstance(serialization.load_pem_private_key(pem, None), ec.EllipticCurvePrivateKey)
    except (ValueError, TypeError):
        return False


def covered_names(certificate: x509.Certificate) -> set[str]:
    """The host names and addresses the certificate is good for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in extension.value}


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC key")
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - CLOCK_SLACK)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
