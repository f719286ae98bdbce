"""The mails that canaries send; a header names run and canary, by which they are found and removed."""

import base64
import secrets
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from mailctl.canaries.people import DOMAIN

PLAIN = "Content-Type: text/plain; charset=us-ascii"
FILE = (
    "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    'Content-Disposition: attachment; filename="eicar.com"'
)
TEXT = "It shows that mail arrives, and may be deleted."
# In two halves: a scanner on the machine that this file lies on must not take it for the test virus itself.
EICAR = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANT", "IVIRUS-TEST-FILE!$H+H*")
#: A mail without these looks like spam. rspamd's test pattern for that is off and stays off: with it comes
#: one that lets anybody past the filter (https://www.rspamd.com/doc/gtube_patterns.html).
LEFT_OUT = ("To", "Date", "Message-ID", "MIME-Version")


def all_of(wanted: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Recipient, whole mail and mark of each canary that sends one."""
    me, stranger = wanted["address"], f"stranger@{DOMAIN}"
    virus = base64.b64encode("".join(EICAR).encode()).decode()
    sent = {
        "mail": (me, me, TEXT, PLAIN),
        "signed": (wanted["alias"], me, TEXT, PLAIN),
        "alias": (wanted["alias"], stranger, TEXT, PLAIN),
        "catch-all": (wanted["rest"], stranger, TEXT, PLAIN),
        "unknown": (wanted["nobody"], stranger, TEXT, PLAIN),
        "quota": (wanted["full"], stranger, TEXT, PLAIN),
        "junk": (wanted["alias"], stranger, secrets.token_hex(40), PLAIN),
        "virus": (wanted["alias"], stranger, virus, FILE),
    }
    return {name: _one(f"{wanted['run']}-{name}", *each) for name, each in sent.items()}


def _one(mark: str, to: str, sender: str, text: str, head: str) -> dict[str, str]:
    fields = {
        "From": sender,
        "To": to,
        "Subject": "Canary of mailctl",
        "Date": format_datetime(datetime.now(UTC)),
        "Message-ID": f"<{mark}@{sender.partition('@')[2]}>",
        "MIME-Version": "1.0",
        "X-Canary": mark,
    }
    if mark.endswith("-junk"):
        fields = {name: value for name, value in fields.items() if name not in LEFT_OUT}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return {"to": to, "sender": sender, "mark": mark, "raw": f"{lines}{head}\r\n\r\n{text}\r\n"}
