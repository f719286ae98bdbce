from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration

FILE = "config/valkey/valkey.conf"


class MAIL_CFG_022(ConfigurationRule):
    """Whoever reaches valkey without a password rewrites what rspamd has learned, and lifts every sending
    limit.

    The password is a file of its own, because this one is in git.
    """

    name = (
        "valkey asks for a password from a secret file: include /run/secrets/valkey_auth, protected-mode yes"
    )
    severity = Severity.HIGH
    fix = "Write include /run/secrets/valkey_auth and protected-mode yes, and no requirepass"
    bad = "protected-mode no\n"
    good = "include /run/secrets/valkey_auth\nprotected-mode yes\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the include, the mode, and for a password in the file."""
        store = subject.flat(FILE) if FILE in subject.known else None
        if store is None:
            return
        if not store.get("include").startswith("/run/secrets/"):
            yield Found(
                store.where("include"), "it has no password", "include /run/secrets/valkey_auth", "valkey"
            )
        if store.get("protected-mode", "yes") != "yes":
            yield Found(
                store.where("protected-mode"), "protected-mode is off", "protected-mode yes", "valkey"
            )
        for name in ("requirepass", "user", "masterauth"):
            if store.get(name):
                yield Found(store.where(name), f"{name} stands in the file", "the secret file", "valkey")


check = MAIL_CFG_022()
