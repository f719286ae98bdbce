"""The verdict table: what postfix said, and at which step, decides what the caller is told.

The caller bounces mail for good on `unknown-recipient`, `too-large`, `over-quota` and `refused`, and lets the
sender retry on everything else. So a 5xx becomes one of those four only where it can be blamed on the message
or its addresses. A 5xx that may come from our own configuration (greeting, EHLO, most MAIL answers, "client
host rejected", protocol errors) is temporary: a mistake of ours must delay mail, never bounce it.
"""

import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Self


class Verdict(Enum):
    """Name in logs and answers, HTTP status, and title of an answer."""

    ACCEPTED = ("accepted", 200, "The message is in the queue")
    UNKNOWN_RECIPIENT = ("unknown-recipient", 404, "No such recipient here")
    TOO_LARGE = ("too-large", 413, "The message is too large")
    OVER_QUOTA = ("over-quota", 507, "The mailbox is full")
    REFUSED = ("refused", 422, "The message was refused")
    TEMPORARY = ("temporary", 503, "The message cannot be taken now")
    HOLDING = ("holding", 503, "Mail is kept back for a while")
    UNAUTHORIZED = ("unauthorized", 401, "A valid bearer token is needed")
    MALFORMED = ("malformed", 400, "The call is malformed")
    BUSY = ("busy", 429, "Too many messages at once")

    def __init__(self, label: str, status: int, title: str) -> None:
        self.label = label
        self.status = status
        self.title = title

    @classmethod
    def named(cls, label: str) -> Self:
        """The verdict with this name."""
        return next(verdict for verdict in cls if verdict.label == label)


#: On these the caller bounces the mail.
PERMANENT = (Verdict.UNKNOWN_RECIPIENT, Verdict.TOO_LARGE, Verdict.OVER_QUOTA, Verdict.REFUSED)


class Stage(StrEnum):
    """Step of the SMTP conversation. MESSAGE is the answer to the content itself."""

    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    MAIL = "mail"
    RCPT = "rcpt"
    MESSAGE = "message"


_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_QUEUED = re.compile(r"queued as ([A-Za-z0-9]{1,64})")
REASON_CHARACTERS = 200
# Addresses, and names with a port: of machines here, which are no stranger's business.
_INTERNAL = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f.:]+\]|\b[\w.-]+:\d{2,5}\b|\.internal\b", re.ASCII
)


@dataclass(frozen=True)
class Reply:
    """One SMTP answer: step, three-digit code (0: there was none) and text without the code."""

    stage: Stage
    code: int
    text: str

    @property
    def enhanced(self) -> str | None:
        """Enhanced status code (RFC 3463) at the start of the text, such as 5.1.1."""
        match = _ENHANCED.match(self.text)
        return match.group(1) if match else None

    @property
    def reason(self) -> str | None:
        """Why the content was refused, in the filter's words, fit for a header and for the sender.

        Printable ASCII of at most REASON_CHARACTERS; None where there are no words, or they name a machine.
        """
        words = _ENHANCED.sub("", self.text, count=1).strip()
        if self.stage is not Stage.MESSAGE or not words.isprintable() or not words.isascii():
            return None
        return None if _INTERNAL.search(words) else words[:REASON_CHARACTERS].rstrip() or None

    @property
    def queue_id(self) -> str | None:
        """Queue id out of "2.0.0 Ok: queued as 4XyZ", None if the text does not say."""
        match = _QUEUED.search(self.text)
        return match.group(1) if match else None

    def __str__(self) -> str:
        answer = f"{self.code} {self.text}" if self.code else self.text
        return f"{answer} (at {self.stage})"


@dataclass(frozen=True)
class Outcome:
    """What happened to a message: the verdict, the reply behind it, and the queue id if it was accepted.

    `forwards`: the addresses outside that the filter named, to forward it to.
    """

    verdict: Verdict
    reply: Reply | None = None
    queue_id: str | None = None
    duplicate: bool = False
    forwards: tuple[str, ...] = ()

    @property
    def stage(self) -> Stage | None:
        """The step whose answer decided, None if postfix was not asked."""
        return self.reply.stage if self.reply else None


# RFC 3463 codes whose meaning does not depend on the three-digit code, at the answer to RCPT.
# Postfix speaks of the sender with 5.1.0, 5.1.7 and 5.1.8, and does so here: it delays refusals to RCPT.
_RCPT = {
    "5.1.1": Verdict.UNKNOWN_RECIPIENT,
    "5.1.2": Verdict.UNKNOWN_RECIPIENT,
    "5.1.3": Verdict.UNKNOWN_RECIPIENT,
    "5.1.6": Verdict.UNKNOWN_RECIPIENT,
    "5.1.10": Verdict.UNKNOWN_RECIPIENT,
    "5.2.1": Verdict.UNKNOWN_RECIPIENT,
    "5.2.2": Verdict.OVER_QUOTA,
    "5.2.3": Verdict.TOO_LARGE,
    "5.3.4": Verdict.TOO_LARGE,
    "5.1.0": Verdict.REFUSED,
    "5.1.7": Verdict.REFUSED,
    "5.1.8": Verdict.REFUSED,
}
# A server without enhanced codes.
_RCPT_BARE = {
    550: Verdict.UNKNOWN_RECIPIENT,
    551: Verdict.UNKNOWN_RECIPIENT,
    552: Verdict.OVER_QUOTA,
    553: Verdict.UNKNOWN_RECIPIENT,
}


def classify(reply: Reply) -> Verdict:
    """Verdict for the reply that ended a conversation."""
    if reply.stage is Stage.MESSAGE and 200 <= reply.code < 300:
        return Verdict.ACCEPTED
    if not 500 <= reply.code < 600 or (reply.enhanced or "5").startswith("4"):
        return Verdict.TEMPORARY
    rules = {Stage.MAIL: _mail, Stage.RCPT: _rcpt, Stage.MESSAGE: _message}
    rule = rules.get(reply.stage)
    return rule(reply) if rule else Verdict.TEMPORARY


def _mail(reply: Reply) -> Verdict:
    # Only the SIZE that we declared (RFC 1870) and the sender's address may condemn a message here.
    if reply.enhanced in ("5.1.7", "5.1.8"):
        return Verdict.REFUSED
    return Verdict.TOO_LARGE if _says_too_large(reply) else Verdict.TEMPORARY


def _rcpt(reply: Reply) -> Verdict:
    if reply.enhanced is None:
        return _RCPT_BARE.get(reply.code, Verdict.TEMPORARY)
    if reply.enhanced.startswith("5.7."):
        return _rcpt_policy(reply.text.lower())
    return _RCPT.get(reply.enhanced, Verdict.TEMPORARY)


def _rcpt_policy(text: str) -> Verdict:
    # Postfix's fixed wording: a domain that is not ours is "Relay access denied"; an entry of an operator's
    # access map names the address. Anything else ("Client host rejected", "Helo command rejected") means us.
    if "relay access denied" in text:
        return Verdict.UNKNOWN_RECIPIENT
    if "sender address rejected" in text or "recipient address rejected" in text:
        return Verdict.REFUSED
    return Verdict.TEMPORARY


def _message(reply: Reply) -> Verdict:
    enhanced = reply.enhanced
    if enhanced == "5.2.2":
        return Verdict.OVER_QUOTA
    if _says_too_large(reply):
        return Verdict.TOO_LARGE
    if enhanced and enhanced.startswith(("5.6.", "5.7.")):
        return Verdict.REFUSED
    if enhanced and enhanced.startswith(("5.3.", "5.5.")):
        return Verdict.TEMPORARY  # system not configured, protocol error: ours
    return Verdict.REFUSED if reply.code == 554 else Verdict.TEMPORARY


def _says_too_large(reply: Reply) -> bool:
    return reply.code == 552 and reply.enhanced in (None, "5.3.4", "5.2.3")
