"""A log-in at the relay as Postfix does it: EHLO, TLS, AUTH, QUIT. No mail is sent."""

import smtplib
import socket
import ssl

from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.relays import Relay

SECRET = "relay_password"  # noqa: S105 (a file name)
_LIMIT = 30.0


class Unreached(Refused):
    """The relay could not be asked: nothing is known about the key."""


def log_in(context: Context, relay: Relay, key: str) -> None:
    """Raises Unreached, or Refused when the relay does not take the key. No text holds the key."""
    where = f"{relay.host}:{relay.port}"
    trust = ssl.create_default_context()
    try:
        trust.load_verify_locations(context.folder("SECRETS_DIR", "secrets") / "internal_ca.crt")
        with _Relay(relay.host, trust if relay.wrapped else None) as server:
            server.reach(_address(context, relay.host), relay.port)
            if not relay.wrapped:
                server.starttls(context=trust)
            server.login(context.setting("RELAY_USERNAME", relay.username or "local"), key)
    except smtplib.SMTPAuthenticationError as error:
        words = error.smtp_error
        said = words if isinstance(words, str) else words.decode("ascii", "replace")
        fix = "look at the key and at RELAY_USERNAME in .env"
        raise Refused(
            Problem(SECRET, f"{where} does not take it: {error.smtp_code} {said}"[:300], fix)
        ) from None
    except (smtplib.SMTPException, OSError) as error:
        fix = "docs/runbooks/mail-does-not-go-out.md"
        raise Unreached(Problem(SECRET, f"was not tried: {where}: {error}"[:300], fix)) from None


def _address(context: Context, host: str) -> str:
    """Where Postfix finds the relay; this host's own answer while Postfix does not run."""
    try:
        container = running(context, "postfix")
    except Refused:
        return host
    found = output(container, "sh", "-c", 'getent hosts "$1" || true', "sh", host).split()
    if not found:
        fix = "try again once the relay can be reached; docs/runbooks/mail-does-not-go-out.md"
        raise Unreached(Problem(SECRET, f"was not tried: no DNS answer for {host}", fix))
    return found[0].decode()


class _Relay(smtplib.SMTP):
    """Connects to an address, and asks the certificate for the host's name; `trust`: TLS from the start."""

    def __init__(self, host: str, trust: ssl.SSLContext | None) -> None:
        super().__init__(timeout=_LIMIT)
        self._name, self._trust = host, trust

    def reach(self, address: str, port: int) -> None:
        self.connect(address, port)
        self._host = self._name  # what starttls compares the certificate with

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        return self._trust.wrap_socket(plain, server_hostname=self._name) if self._trust else plain
