"""A mail to the administrator through the running Postfix. That it cannot be sent never hides its cause."""

from email.message import EmailMessage
from email.policy import SMTP

from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Refused


def tell(context: Context, subject: str, text: str) -> bool:
    """Send a mail to ADMIN_EMAIL; False, with a warning, when that was not possible."""
    if context.environ.get("MAILCTL_FAILURE_MAIL") == "systemd":
        return True  # the unit's OnFailure= mails as well, with the log: once is enough
    domain, admin = context.setting("MAIL_DOMAIN"), context.setting("ADMIN_EMAIL")
    if not domain or not admin:
        context.out.warn("no mail was sent: ADMIN_EMAIL and MAIL_DOMAIN must be set in .env")
        return False
    sender = f"postmaster@{domain}"
    mail = EmailMessage(policy=SMTP.clone(linesep="\n"))
    mail["From"], mail["To"], mail["Subject"] = sender, admin, f"[{context.project_name}] {subject}"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    try:
        postfix = running(context, "postfix")
        output(postfix, "sendmail", "-i", "-f", sender, "--", admin, stdin=mail.as_bytes(), limit=60)
    except (Refused, OSError) as error:
        context.out.warn(f"no mail was sent to {admin}: {error}")
        return False
    return True
