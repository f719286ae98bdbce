"""A message to the administrator: by the alarm URLs first, and by mail through the running Postfix as well.

That neither could be sent never hides its cause.
"""

from email.message import EmailMessage
from email.policy import SMTP

from mailctl.core import alarms
from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Refused


def tell(context: Context, subject: str, text: str) -> bool:
    """Send a message to the administrator; False, with a warning, when no way took it."""
    if context.environ.get("MAILCTL_FAILURE_MAIL") == "systemd":
        return True  # the unit's OnFailure= sends one as well, with the log: once is enough
    marked = f"[{context.project_name}] {subject}"
    found = alarms.urls(context)
    ways = alarms.send(found, marked, text) if found else []
    for way in ways:
        if not way.sent:
            context.out.warn(f"no alarm was sent to {way.name}: {way.said}")
    mailed = _mail(context, marked, text)
    return mailed or any(way.sent for way in ways)


def _mail(context: Context, subject: str, text: str) -> bool:
    domain, admin = context.setting("MAIL_DOMAIN"), context.setting("ADMIN_EMAIL")
    if not domain or not admin:
        context.out.warn("no mail was sent: ADMIN_EMAIL and MAIL_DOMAIN must be set in .env")
        return False
    sender = f"postmaster@{domain}"
    mail = EmailMessage(policy=SMTP.clone(linesep="\n"))
    mail["From"], mail["To"], mail["Subject"] = sender, admin, subject
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    try:
        postfix = running(context, "postfix")
        output(postfix, "sendmail", "-i", "-f", sender, "--", admin, stdin=mail.as_bytes(), limit=60)
    except (Refused, OSError) as error:
        context.out.warn(f"no mail was sent to {admin}: {error}")
        return False
    return True
