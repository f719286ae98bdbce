"""The sink's settings, read from Mailpit's environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TRUE = {"1", "true", "yes", "on", "t"}
_UNSUPPORTED = (
    "MP_SMTP_RELAY",
    "MP_SMTP_FORWARD",
    "MP_UI_AUTH",
    "MP_UI_TLS",
    "MP_POP3",
    "MP_WEBHOOK",
    "MP_WEBROOT",
)


class SettingsError(Exception):
    """A setting that Mailpit, or this stand-in for it, refuses to start with."""


@dataclass(frozen=True)
class Address:
    """Where a server listens; Mailpit writes it as host:port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``0.0.0.0:1025``, ``[::]:1025`` or ``:1025``.

        Raises:
            SettingsError: if there is no port number.
        """
        host, separator, port = text.rpartition(":")
        if not separator or not port.isdigit():
            raise SettingsError(f"{text!r} is not host:port")
        return cls(host.strip("[]") or "::", int(port))


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, with Mailpit's defaults."""

    smtp: Address
    web: Address
    certificate: Path | None = None
    key: Path | None = None
    require_starttls: bool = False
    require_tls: bool = False
    accept_any: bool = False
    allow_insecure: bool = False
    max_messages: int = 500
    max_message_bytes: int = 50 * 1024 * 1024
    max_recipients: int = 100
    credentials: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Settings:
        """Read and check the environment.

        Raises:
            SettingsError: for what Mailpit refuses, and for what this stand-in cannot do.
        """
        for name in environment:
            if name.startswith(_UNSUPPORTED):
                raise SettingsError(f"{name} is not supported by this stand-in")

        def flag(name: str) -> bool:
            return environment.get(name, "").lower() in _TRUE

        settings = cls(
            smtp=Address.parse(environment.get("MP_SMTP_BIND_ADDR", "[::]:1025")),
            web=Address.parse(environment.get("MP_UI_BIND_ADDR", "[::]:8025")),
            certificate=_path(environment, "MP_SMTP_TLS_CERT"),
            key=_path(environment, "MP_SMTP_TLS_KEY"),
            require_starttls=flag("MP_SMTP_REQUIRE_STARTTLS"),
            require_tls=flag("MP_SMTP_REQUIRE_TLS"),
            accept_any=flag("MP_SMTP_AUTH_ACCEPT_ANY"),
            allow_insecure=flag("MP_SMTP_AUTH_ALLOW_INSECURE"),
            max_messages=int(environment.get("MP_MAX_MESSAGES", "500")),
            max_message_bytes=int(environment.get("MP_MAX_MESSAGE_SIZE", "50")) * 1024 * 1024,
            max_recipients=int(environment.get("MP_SMTP_MAX_RECIPIENTS", "100")),
            credentials=_credentials(environment),
        )
        settings.check()
        return settings

    def check(self) -> None:
        """Refuse the combinations that Mailpit refuses."""
        required = self.require_starttls or self.require_tls
        authentication = bool(self.credentials) or self.accept_any
        rules = {
            "both MP_SMTP_TLS_CERT and MP_SMTP_TLS_KEY are needed": bool(self.certificate) != bool(self.key),
            "TLS cannot be required without a certificate and a key": required and not self.certificate,
            "TLS and STARTTLS cannot both be required": self.require_starttls and self.require_tls,
            "TLS cannot be required together with MP_SMTP_AUTH_ALLOW_INSECURE": required
            and self.allow_insecure,
            "use either credentials or MP_SMTP_AUTH_ACCEPT_ANY": bool(self.credentials) and self.accept_any,
            "authentication needs TLS or MP_SMTP_AUTH_ALLOW_INSECURE": authentication
            and not self.certificate
            and not self.allow_insecure,
        }
        for message, broken in rules.items():
            if broken:
                raise SettingsError(message)
        for path in (self.certificate, self.key):
            if path and not path.is_file():
                raise SettingsError(f"{path} is not there or not readable")


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name, "")
    return Path(text) if text else None


def _credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Plain ``user:password`` pairs, from the variable or the file that Mailpit would read."""
    text = environment.get("MP_SMTP_AUTH", "")
    if path := _path(environment, "MP_SMTP_AUTH_FILE"):
        try:
            text = path.read_text()
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror}") from error
    pairs = [word.partition(":") for word in text.split()]
    if any(not password or password.startswith("$") for _, _, password in pairs):
        raise SettingsError(
            "credentials must be user:password pairs; hashes are not supported by this stand-in"
        )
    return {user: password for user, _, password in pairs}
