"""Everything the service can be told from outside, read once from environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self


class SettingsError(ValueError):
    """A variable holds a value the service cannot start with; the text names variable, value and fix."""


@dataclass(frozen=True)
class Settings:
    """Typed settings. Sizes are in bytes, times in seconds.

    `total_timeout` covers receiving the body and the SMTP conversation together: the Email Worker that calls
    us has to answer its own client within 25 s.
    """

    tokens_file: Path
    state_dir: Path
    smtp_host: str = "postfix"
    smtp_port: int = 25
    smtp_ca_file: Path | None = None
    max_message_bytes: int = 25 * 1024 * 1024
    max_concurrent_messages: int = 8
    connect_timeout: float = 5.0
    total_timeout: float = 20.0
    remember_seconds: int = 7 * 24 * 3600
    ready_cache_seconds: float = 2.0

    @property
    def spool_dir(self) -> Path:
        """Folder of messages that are being received; empty when idle."""
        return self.state_dir / "spool"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; raises SettingsError on a value out of range.

        An empty variable counts as not given, as compose files write unset ones that way.
        """
        ca_file = environ.get("SMTP_CA_FILE", "")
        return cls(
            tokens_file=Path(environ.get("TOKENS_FILE") or "/run/secrets/mailserver_api_tokens"),
            state_dir=Path(environ.get("STATE_DIR") or "/var/lib/mailserver-api"),
            smtp_host=environ.get("SMTP_HOST") or cls.smtp_host,
            smtp_port=_integer(environ, "SMTP_PORT", cls.smtp_port, 1, 65535),
            smtp_ca_file=Path(ca_file) if ca_file else None,
            max_message_bytes=_integer(
                environ, "MAX_MESSAGE_BYTES", cls.max_message_bytes, 1024, 100 * 1024 * 1024
            ),
            max_concurrent_messages=_integer(
                environ, "MAX_CONCURRENT_MESSAGES", cls.max_concurrent_messages, 1, 64
            ),
        )


def _integer(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name) or str(default)
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise SettingsError(f"{name}: {text!r} is not accepted; use a whole number from {low} to {high}")
    return value
