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

    A caller's time has two parts: `receive_seconds` for sending the body (25 MiB over a slow line), and
    `answer_seconds` (one more a MiB) for waiting, for a slot and the verdict. A conversation may go on for
    `submit_seconds`, also when the caller was told to try again; the filter's own limit is 120 s.
    `max_concurrent_messages` SMTP sessions and one more for /ready must stay within
    smtpd_client_connection_count_limit in config/postfix/master.cf. /ready has `filter_host`
    (rspamd) scan a message of its own; empty: it does not. An outcome is known for `remember_seconds`: longer
    than the edge's spool keeps a mail (14 days), which it may hand in again when it did not hear the answer.
    A Worker that was given addresses to forward to has ended after `forward_lease_seconds`: Cloudflare
    cancels it after about 30 s. On `forward_port` postfix takes what the relay
    forwards; 0: it forwards nothing. With a `ledger_host` outcomes are in that MariaDB, which all replicas
    share.
    """

    tokens_file: Path
    state_dir: Path
    smtp_host: str = "postfix"
    smtp_port: int = 25
    smtp_ca_file: Path | None = None
    max_message_bytes: int = 25 * 1024 * 1024
    max_concurrent_messages: int = 16
    max_receiving: int = 64
    connect_timeout: float = 30.0
    ready_timeout: float = 5.0
    receive_seconds: float = 600.0
    answer_seconds: float = 20.0
    submit_seconds: float = 300.0
    filter_host: str = ""
    filter_port: int = 11333
    remember_seconds: int = 21 * 24 * 3600
    forward_lease_seconds: int = 60
    forward_port: int = 0
    ready_cache_seconds: float = 2.0
    monitor_file: Path = Path("/run/monitor/state.json")
    deploy_token_file: Path = Path("/run/secrets/deploy_hook_token")
    hasten_dir: Path = Path("/run/hasten")
    hold_file: Path = Path("/run/hold/api/hold.json")
    ledger_host: str = ""
    ledger_port: int = 3306
    ledger_ca_file: Path | None = None
    ledger_password_file: Path = Path("/run/secrets/ledger_db_password")

    @property
    def spool_dir(self) -> Path:
        """Folder of messages that are being received; empty when idle."""
        return self.state_dir / "spool"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; raises SettingsError on a value out of range.

        An empty variable counts as not given, as compose files write unset ones that way.
        """
        ca_file, ledger_ca = environ.get("SMTP_CA_FILE", ""), environ.get("LEDGER_CA_FILE", "")
        return cls(
            tokens_file=Path(environ.get("TOKENS_FILE") or "/run/secrets/mailserver_api_tokens"),
            state_dir=Path(environ.get("STATE_DIR") or "/var/lib/mailserver-api"),
            smtp_host=environ.get("SMTP_HOST") or cls.smtp_host,
            smtp_ca_file=Path(ca_file) if ca_file else None,
            filter_host=environ.get("FILTER_HOST", ""),
            monitor_file=Path(environ.get("MONITOR_FILE") or cls.monitor_file),
            deploy_token_file=cls.deploy_token_file,
            hasten_dir=cls.hasten_dir,
            hold_file=Path(environ.get("HOLD_FILE") or cls.hold_file),
            ledger_host=environ.get("LEDGER_HOST", ""),
            ledger_ca_file=Path(ledger_ca) if ledger_ca else None,
            ledger_password_file=Path(environ.get("LEDGER_PASSWORD_FILE") or cls.ledger_password_file),
            **{name.lower(): _integer(environ, name, low, high) for name, low, high in _NUMBERS},
        )


_NUMBERS = (
    ("SMTP_PORT", 1, 65535),
    ("LEDGER_PORT", 1, 65535),
    ("MAX_MESSAGE_BYTES", 1024, 100 * 1024 * 1024),
    ("MAX_CONCURRENT_MESSAGES", 1, 64),
    ("RECEIVE_SECONDS", 1, 3600),
    ("ANSWER_SECONDS", 1, 600),
    ("SUBMIT_SECONDS", 1, 3600),
    ("FORWARD_LEASE_SECONDS", 1, 3600),
    ("FORWARD_PORT", 0, 65535),
)


def _integer(environ: Mapping[str, str], name: str, low: int, high: int) -> int:
    text = environ.get(name) or str(int(getattr(Settings, name.lower())))
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise SettingsError(f"{name}: {text!r} is not accepted; use a whole number from {low} to {high}")
    return value
