import re
from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.config.scripts import commands
from policies.model import Found, Severity

RENEWS = re.compile(
    r"\bcertbot\b.*\s(?:renew|certonly)\b|\bacme\.sh\b.*--(?:renew|cron|issue)\b|\blego\b.*\srenew\b|\bdehydrated\b.*\s(?:-c|--cron)\b"
)
RELOADS = re.compile(r"\b(?:reload|restart|kill|HUP|force-recreate)\b")
SERVICES = ("dovecot", "postfix")


class MAIL_CFG_029(ConfigurationRule):
    """A renewed certificate is a file; Dovecot and Postfix go on showing the old one until they read it.

    Nobody notices for weeks, and then the old one runs out and no mail program connects any more.
    """

    name = "Who renews certificates reloads Dovecot and Postfix: in the same script, or in a hook"
    severity = Severity.HIGH
    fix = "Add docker compose restart postfix dovecot behind the renewal, or as --deploy-hook"
    bad = "certbot renew --quiet\n"
    good = "certbot renew --quiet --deploy-hook 'docker compose restart postfix dovecot'\n"
    language = "sh"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at each file with a renewal, and at the scripts that it names."""
        found = list(commands(subject.repository))
        for command in found:
            if not RENEWS.search(command.text):
                continue
            file = command.place.file
            texts = [
                each.text for each in found if each.place.file == file or each.place.file in command.text
            ]
            reloaded = " ".join(text for text in texts if RELOADS.search(text))
            everything = re.search(r"compose\s+restart\s*(?:$|[;&|])", reloaded)
            for service in SERVICES:
                if not re.search(rf"\b{service}\b", reloaded) and not everything:
                    what = f"the certificate is renewed, and {service} goes on with the old one"
                    yield Found(command.place, what, f"docker compose restart {service}", service)


check = MAIL_CFG_029()
