"""What the services write about a mail, as they were seen to write it, in its order."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mailctl.core.log_lines import LogLine

Said = tuple[str, str]
SESSION = "xcj+IB6ICGsfAAAAkzG9"


@dataclass(frozen=True)
class Mail:
    """The names of a mail."""

    id: str
    message_id: str
    sender: str = "writer@sender.example"
    to: str = "reader@example.com"

    def api(
        self, verdict: str = "accepted", status: int = 200, queued: bool = True, ray: str = "8f1"
    ) -> Said:
        text = {"event": "message", "verdict": verdict, "status": status, "duplicate": False, "cf_ray": ray}
        text |= {"queue_id": self.id if queued else None, "from": self.sender, "to": self.to, "size": 793}
        text |= {"message_id": f"<{self.message_id}>", "seconds": 0, "detail": f"250 queued as {self.id}"}
        return "mailserver-api", json.dumps(text)

    def postfix(self, part: str, said: str) -> Said:
        return "postfix", f"Nov 26 19:27:26 mail postfix/{part}[226]: {self.id}: {said}"

    def rspamd(self, action: str = "no action") -> Said:
        symbols = "HFILTER_HELO_IP_A(1.00){a.example;},AUTH_NA(2.50){},ARC_NA(0.00){}"
        verdict = f"(default: F ({action}): [3.50/15.00] [{symbols}])"
        return "rspamd", (
            "2026-11-26 19:27:26 #21(rspamd_proxy) <a2eaaf>; proxy; rspamd_task_write_log:"
            f" id: <{self.message_id}>,  qid: <{self.id}>, ip: 203.0.113.7, from: <{self.sender}>,"
            f" {verdict}, len: 880, time: 45.030ms, rcpts: <{self.to}>"
        )

    def dovecot(self, said: str, named: bool = True) -> Said:
        about = f"sieve: msgid=<{self.message_id}>: {said}" if named else said
        return "dovecot", f"Nov 26 19:27:26 lmtp({self.to})<31><{SESSION}{self.id}>: Info: {about}"


def taken(mail: Mail, client: str = "shop-mail-mailserver-api-1.shop_mail[10.0.0.5]") -> list[Said]:
    return [
        mail.postfix("inbound/smtpd", f"client={client}"),
        mail.postfix("cleanup", f"message-id=<{mail.message_id}>"),
        mail.rspamd(),
        mail.postfix("qmgr", f"from=<{mail.sender}>, size=1171, nrcpt=1 (queue active)"),
    ]


def delivered(mail: Mail) -> list[Said]:
    said = f"250 2.0.0 <{mail.to}> {SESSION}{mail.id} Saved"
    return [
        mail.dovecot(
            "execute exec:/etc/dovecot/bin/delivered (9): Terminated with non-zero exit code 1", False
        ),
        mail.dovecot("stored mail into mailbox 'INBOX'"),
        _to(mail, "lmtp", "dovecot[10.0.0.3]:31024", "sent", said),
        mail.postfix("qmgr", "removed"),
    ]


def inbound(mail: Mail) -> list[Said]:
    return [*taken(mail), mail.api(), *delivered(mail)]


def slow(mail: Mail) -> list[Said]:
    """Turned away once because all was busy, then accepted, deferred, and delivered."""
    late = _to(
        mail, "lmtp", "none", "deferred", "lost connection with dovecot[10.0.0.3] while sending RCPT TO"
    )
    tried = mail.api("busy", 429, queued=False)
    again = mail.postfix("qmgr", f"from=<{mail.sender}>, size=1171, nrcpt=1 (queue active)")
    return [tried, *taken(mail), mail.api(), late, again, *delivered(mail)]


def spam(mail: Mail) -> list[Said]:
    client, found, *_ = taken(mail)
    refused = "milter-reject: END-OF-MESSAGE from api[10.0.0.5]: 5.7.1 Spam message rejected;"
    refused += f" from=<{mail.sender}> to=<{mail.to}> proto=ESMTP helo=<mail>"
    said = [client, found, mail.rspamd("reject"), mail.postfix("cleanup", refused)]
    return [*said, mail.api("refused", 422, queued=False)]


def outgoing(mail: Mail) -> list[Said]:
    user = "client=unknown[10.0.0.9], sasl_method=PLAIN, sasl_username=reader@example.com"
    first = mail.postfix("submission/smtpd", user)
    relay = _to(
        mail, "smtp", "smtp.sendgrid.net[192.0.2.1]:587", "sent", "250 2.0.0 Ok: queued as qTRX1w7QXke"
    )
    return [first, *taken(mail)[1:], relay, mail.postfix("qmgr", "removed")]


STORIES = {"delivered": inbound, "delivered late": slow, "refused": spam, "sent": outgoing}


def _to(mail: Mail, part: str, relay: str, status: str, said: str) -> Said:
    times = "delay=0.41, delays=0.11/0/0.02/0.27, dsn=2.0.0"
    return mail.postfix(part, f"to=<{mail.to}>, relay={relay}, {times}, status={status} ({said})")


def lines(said: list[Said]) -> list[LogLine]:
    """A millisecond between each two."""
    start = datetime(2026, 11, 26, 19, 27, tzinfo=UTC)
    return [LogLine(start + timedelta(milliseconds=n), *each) for n, each in enumerate(said)]
