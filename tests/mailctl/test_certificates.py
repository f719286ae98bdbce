"""The internal CA and what it signs: a client that trusts it accepts each service, by its names only."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ENV, Cli
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailctl.secret_files.certificates import CA_DAYS, RENEW_DAYS, SERVICE_DAYS, covered_names, new_key


@pytest.fixture
def secrets(repo: Path, cli: Cli) -> Path:
    assert cli("secrets", "init").exit_code == 0
    return repo / "secrets"


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / name).read_bytes())


def handshake(secrets: Path, service: str, name: str) -> None:
    """One TLS handshake with the service's certificate, checked against the internal CA as `name`."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(secrets / f"{service}_tls.crt", secrets / f"{service}_tls.key")
    client = ssl.create_default_context(cafile=str(secrets / "internal_ca.crt"))
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(far, server_side=True).close()
        except (ssl.SSLError, OSError):
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(near, server_hostname=name).close()
    finally:
        near.close()
        thread.join(10)


@pytest.mark.parametrize("service", ["dovecot", "postfix"])
def test_a_client_that_trusts_the_ca_accepts_a_service_by_each_of_its_names(
    secrets: Path, service: str
) -> None:
    for name in (service, "mail.example.com", "localhost", "127.0.0.1"):
        handshake(secrets, service, name)


def test_a_client_refuses_the_service_under_a_name_that_is_not_its_own(secrets: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(secrets, "dovecot", "postfix")


def test_the_certificates_say_what_the_contract_says(secrets: Path) -> None:
    ca, leaf = certificate(secrets, "internal_ca.crt"), certificate(secrets, "dovecot_tls.crt")
    assert ca.subject.rfc4514_string() == "CN=shop-mail internal CA"
    now = datetime.now(UTC)
    assert abs(ca.not_valid_after_utc - now - timedelta(days=CA_DAYS)) < timedelta(minutes=5)
    assert abs(leaf.not_valid_after_utc - now - timedelta(days=SERVICE_DAYS)) < timedelta(minutes=5)
    key = serialization.load_pem_private_key((secrets / "internal_ca.key").read_bytes(), None)
    assert key.curve.name == "secp256r1"


def test_members_show_their_certificate_to_each_other_and_other_services_show_none(
    secrets: Path, cli: Cli
) -> None:
    (secrets.parent / "nodes.yml").touch()
    cli("secrets", "init")
    uses = {}
    for name in ("mariadb", "valkey", "dovecot"):
        found = certificate(secrets, f"{name}_tls.crt").extensions
        usage = found.get_extension_for_class(x509.ExtendedKeyUsage).value
        uses[name] = ExtendedKeyUsageOID.CLIENT_AUTH in usage
    assert uses == {"mariadb": True, "valkey": True, "dovecot": False}
    assert {"mariadb", "mariadb-1", "mariadb-3"} <= covered_names(certificate(secrets, "mariadb_tls.crt"))


@pytest.mark.parametrize("address", ["192.168.1.10", "fd00::10", "mail.lan"])
def test_the_lan_address_is_one_of_the_names(repo: Path, cli: Cli, address: str) -> None:
    (repo / ".env").write_text(f"{ENV}LAN_ADDRESS={address}\n")
    cli("secrets", "init")
    assert address in covered_names(certificate(repo / "secrets", "postfix_tls.crt"))


@pytest.mark.parametrize("bad", ["", "mail_example", "-mail.example.com", "http://mail.example.com", "a..b"])
def test_a_webmail_host_that_no_certificate_can_carry_is_refused(repo: Path, cli: Cli, bad: str) -> None:
    (repo / ".env").write_text(f"WEBMAIL_HOST={bad}\n")
    result = cli("secrets", "init")
    assert result.exit_code == 1
    assert f"WEBMAIL_HOST = {bad or '(empty)'}" in result.stderr
    assert not (repo / "secrets").exists()


def test_a_lost_service_key_gets_a_new_key_and_a_certificate_that_fits(secrets: Path, cli: Cli) -> None:
    (secrets / "postfix_tls.key").unlink()
    document = json.loads(cli("secrets", "init", "--json").stdout)
    assert document["restart"] == ["postfix"]
    handshake(secrets, "postfix", "postfix")


def test_a_lost_ca_key_makes_a_new_ca_and_new_certificates_for_the_same_keys(secrets: Path, cli: Cli) -> None:
    before = (secrets / "dovecot_tls.key").read_bytes()
    (secrets / "internal_ca.key").unlink()
    cli("secrets", "init")
    assert (secrets / "dovecot_tls.key").read_bytes() == before
    handshake(secrets, "dovecot", "dovecot")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that sets the clock of whatever makes certificates so many days ahead."""

    def set_clock(days: int) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:
                return datetime.now(UTC) + timedelta(days=days)

        monkeypatch.setattr("mailctl.secret_files.certificates.datetime", Clock)

    return set_clock


@pytest.mark.parametrize(("left", "renewed"), [(-1, True), (RENEW_DAYS - 1, True), (RENEW_DAYS + 1, False)])
def test_a_certificate_is_renewed_for_the_same_key_in_its_last_month(
    secrets: Path, cli: Cli, later: Callable[[int], None], left: int, renewed: bool
) -> None:
    before, key = certificate(secrets, "dovecot_tls.crt"), (secrets / "dovecot_tls.key").read_bytes()
    later(SERVICE_DAYS - left)
    document = json.loads(cli("secrets", "init", "--json").stdout)
    after = certificate(secrets, "dovecot_tls.crt")
    assert (after.not_valid_after_utc - before.not_valid_after_utc > timedelta(days=700)) is renewed
    assert ("dovecot" in document["restart"]) is renewed
    assert (secrets / "dovecot_tls.key").read_bytes() == key


def test_a_ca_that_ends_is_renewed_with_its_key_so_that_old_certificates_stay_good(
    secrets: Path, cli: Cli, later: Callable[[int], None]
) -> None:
    old = (secrets / "dovecot_tls.crt").read_bytes()
    later(CA_DAYS - 1)
    cli("secrets", "init")
    ca = certificate(secrets, "internal_ca.crt")
    assert ca.not_valid_after_utc - datetime.now(UTC) > timedelta(days=2 * CA_DAYS - 2)
    x509.load_pem_x509_certificate(old).verify_directly_issued_by(ca)


def test_a_certificate_of_another_key_is_replaced(secrets: Path, cli: Cli) -> None:
    (secrets / "dovecot_tls.key").unlink()
    (secrets / "dovecot_tls.key").write_bytes(new_key())
    cli("secrets", "init")
    handshake(secrets, "dovecot", "dovecot")


def test_a_key_that_is_no_key_is_refused(secrets: Path, cli: Cli) -> None:
    (secrets / "internal_ca.key").unlink()
    (secrets / "internal_ca.key").write_text("nonsense")
    result = cli("secrets", "init")
    assert result.exit_code == 1
    assert "does not hold an unencrypted EC private key" in " ".join(result.stderr.split())


def test_a_host_name_that_the_kept_certificate_lacks_is_warned_about(
    repo: Path, secrets: Path, cli: Cli
) -> None:
    before = (secrets / "dovecot_tls.crt").read_bytes()
    (repo / ".env").write_text(ENV.replace("mail.example.com", "post.example.org"))
    said = " ".join(cli("secrets", "init").stderr.split())
    assert "dovecot_tls.crt does not carry post.example.org" in said
    assert (secrets / "dovecot_tls.crt").read_bytes() == before
