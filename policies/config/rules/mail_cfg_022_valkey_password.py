from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.config.settings import Settings
from policies.model import Found, Severity

FILE = "config/valkey/valkey.conf"
HERE = ("requirepass", "user", "masterauth", "primaryauth", "masteruser", "aclfile")


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
        """Look at the include, the mode, and for a password in the file or the command."""
        stores = subject.in_force(FILE, "valkey")
        yield from dict.fromkeys(found for store in stores for found in self._store(store))

    def _store(self, store: Settings) -> Iterator[Found]:
        if not store.get("include").startswith("/run/secrets/"):
            where = store.where("include")
            yield Found(where, "it has no password", "include /run/secrets/valkey_auth", "valkey")
        if store.get("protected-mode", "yes").lower() != "yes":
            where = store.where("protected-mode")
            yield Found(where, "protected-mode is off", "protected-mode yes", "valkey")
        for name in HERE:
            # A password in the command is what MAIL_CMP_017 finds; an empty one there undoes the secret file.
            in_command = store.where(name).file != store.file and store.get(name)
            if name in store.values and not in_command:
                what = f"{name} takes the place of the secret file"
                yield Found(store.where(name), what, "the secret file", "valkey")


check = MAIL_CFG_022()
