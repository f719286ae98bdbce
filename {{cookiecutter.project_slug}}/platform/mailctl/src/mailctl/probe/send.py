"""How a probe is written and handed to Postfix, to the listener that sends it out although it is to us."""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import secrets as secrets_folder
from mailctl.core.runtime import Runtime

#: As in config/postfix/main.cf and config/dovecot/dovecot.conf: whom it is sent to, and where it arrives.
LOCAL_PART, BOX = "mailctl-probe", "mailctl-probe@mailctl.invalid"
LISTENER = "127.0.0.1:27"
SEND_SECONDS = 180.0
TEXT = (
    "This mail tries the way out through the relay and back in through the edge.\r\n"
    "mailctl reads it, judges it and removes it. It may be deleted at any time.\r\n"
)


@dataclass(frozen=True)
class Probe:
    """One mail: `token` is in its subject only, as relays replace a Message-ID; `sent` in epoch seconds."""

    sender: str
    recipient: str
    token: str = field(default_factory=lambda: secrets.token_hex(12))
    #: Whole seconds, as headers have them.
    sent: int = field(default_factory=lambda: int(time.time()))

    @property
    def domain(self) -> str:
        return self.sender.partition("@")[2]

    def raw(self) -> str:
        fields = {
            "From": self.sender,
            "To": self.recipient,
            "Subject": f"Probe {self.token}",
            "Date": format_datetime(datetime.fromtimestamp(self.sent, UTC)),
            "Message-ID": f"<{secrets.token_hex(12)}@{self.domain}>",
            "Auto-Submitted": "auto-generated",
            "MIME-Version": "1.0",
            "Content-Type": "text/plain; charset=us-ascii",
        }
        return "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + f"\r\n{TEXT}"


def plain(context: Context) -> Probe:
    """A probe from and to this server. Raises Refused: MAIL_DOMAIN is not set."""
    domain = context.setting("MAIL_DOMAIN").lower()
    if not domain:
        raise Refused(Problem("MAIL_DOMAIN", "is not set", "write it into .env"))
    return Probe(f"{LOCAL_PART}@{domain}", f"{LOCAL_PART}@{domain}")


def deferred(context: Context) -> Probe:
    """One that mailserver-api defers at the first attempt: its address has the mark of a token's holder."""
    path = secrets_folder(context) / "mailserver_api_tokens"
    try:
        token = path.read_text("ascii").split()[0]
    except (OSError, ValueError, IndexError):
        raise Refused(
            Problem(path.name, "cannot be read", "run this as root, after make setup", str(path))
        ) from None
    one = plain(context)
    nonce = secrets.token_hex(6)
    key = hashlib.sha256(token.encode()).digest()
    mark = hmac.new(key, f"retry-{nonce}".encode(), "sha256").hexdigest()[:24]
    return Probe(one.sender, f"{LOCAL_PART}+retry-{nonce}-{mark}@{one.domain}")


def send(runtime: Runtime, one: Probe) -> None:
    """Put it into Postfix's queue. Raises Refused with Postfix's words."""
    words = ("smtp-source", "-F", "/dev/stdin", "-M", "localhost", "-f", one.sender, "-t", one.recipient)
    # smtp-source ends each line itself.
    runtime.inside("postfix", (*words, LISTENER), stdin=one.raw().replace("\r\n", "\n"), limit=SEND_SECONDS)
