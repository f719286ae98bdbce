"""The relay's key, which the provider makes: tried at the relay itself before Postfix gets it."""

import smtplib
import ssl

from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

_LIMIT = 30.0


def try_key(context: Context, key: str) -> None:
    """Log in to the relay as Postfix does, at the address that Postfix finds. Raises Refused."""
    container = running(context, "postfix")
    host, _, port = output(container, "postconf", "-h", "relayhost").decode().strip().rpartition(":")
    host = host.strip("[]")
    found = output(container, "sh", "-c", 'getent hosts "$1" || true', "sh", host).split()
    if not found:
        fix = "run this again once the relay can be reached; the old key is still in use"
        raise Refused(Problem("relay_password", f"was not tried: no DNS answer for {host}", fix))
    address = found[0].decode()
    trust = ssl.create_default_context()
    trust.load_verify_locations(context.folder("SECRETS_DIR", "secrets") / "internal_ca.crt")
    try:
        with _Relay(host, timeout=_LIMIT) as relay:
            relay.reach(address, int(port))
            relay.starttls(context=trust)
            relay.login(context.setting("RELAY_USERNAME", "apikey"), key)
    except (smtplib.SMTPException, OSError) as error:
        wrong = f"{host}:{port} does not take it: {error}"[:300]
        fix = "look at the key; the old one is still in use"
        raise Refused(Problem("relay_password", wrong, fix)) from None


class _Relay(smtplib.SMTP):
    """Connects to an address, and asks the certificate for the host's name."""

    def __init__(self, host: str, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self._name = host

    def reach(self, address: str, port: int) -> None:
        self.connect(address, port)
        self._host = self._name  # what starttls compares the certificate with
