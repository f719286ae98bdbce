import re
from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

#: What Postfix calls itself: in its greeting, and when it greets others.
NAMES = ("myhostname", "smtp_helo_name", "lmtp_lhlo_name", "smtpd_banner")
PUBLIC = re.compile(r"^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$", re.IGNORECASE)
PRIVATE = re.compile(r"\.(?:local|localdomain|localhost|internal|lan|home|docker)$", re.IGNORECASE)
ADDRESS = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|\[[0-9a-f:.]+\]", re.IGNORECASE)
SERVICES = ("postfix", "dovecot")


class MAIL_CFG_028(ConfigurationRule):
    """A server that greets with a private address writes it into every mail; receivers call that spam.

    The name in the greeting, in HELO and in LMTP is what other servers look up and compare.
    """

    name = (
        "Postfix and Dovecot greet with a public name, never with an address: myhostname is a full host name"
    )
    severity = Severity.MEDIUM
    fix = "Set myhostname to the full public name, and leave smtp_helo_name and lmtp_lhlo_name out"
    bad = "lmtp_lhlo_name = [172.18.0.5]\n"
    good = "myhostname = mail.example.com\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at main.cf, at the options of each process, at dovecot.conf, then at the Compose file."""
        main = subject.postfix_main
        views = [("main.cf", main, NAMES)] if main else []
        for process in subject.postfix_master if main else ():
            views.append(
                (process.name, process.view(main), [each for each in NAMES if each in process.options])
            )
        for who, view, names in views:
            for name in names:
                words = view.expanded(name, "" if name == "myhostname" else "$myhostname").split()
                greeting = words[0] if words else ""
                public = PUBLIC.match(greeting) and not PRIVATE.search(greeting)
                if (name == "myhostname" or name in view.values) and (
                    not public or ADDRESS.search(" ".join(words))
                ):
                    what = f"{who}: {name} is {' '.join(words) or 'not set'}"
                    yield Found(view.where(name), what, "a full public host name", "postfix")
        for block in (each for tree in subject.blocks("dovecot") for each in tree.walk()):
            for setting in block.settings:
                if setting.name in ("hostname", "login_greeting") and ADDRESS.search(setting.value):
                    what = f"{setting.name} is {setting.value}"
                    yield Found(setting.place, what, "a name, not an address", "dovecot")
        for service in (each for name in SERVICES for each in subject.running(name)):
            if ADDRESS.search(str(service.get("hostname") or "")):
                what = f"hostname is {service.get('hostname')}"
                yield Found(service.where("hostname"), what, "a name, not an address", service.name)


check = MAIL_CFG_028()
