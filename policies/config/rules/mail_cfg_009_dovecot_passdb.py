import re
from collections.abc import Iterator

from policies.config.braces import Block, Setting
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

ALLOWED = ("sql",)
PLAIN = re.compile(r"^(?:plain|cleartext|clear|plain-trunc)$|^$", re.IGNORECASE)
#: Settings that write passwords into the log.
LOGGED = ("auth_debug_passwords", "auth_verbose_passwords")
ACTIVE = re.compile(r"\bactive\b|\benabled\b", re.IGNORECASE)
OFF = ("", "no", "n", "0", "false")


class MAIL_CFG_009(ConfigurationRule):
    """The image comes with a static passdb that lets any user in with any password.

    Every other source of passwords beside the database has the same effect sooner or later: an account that
    usermgmt does not show, that nobody switches off, and whose password nobody changes.
    """

    name = (
        "Dovecot knows passwords from the database only: no static, passwd-file or "
        "nopassword passdb, no master user"
    )
    severity = Severity.CRITICAL
    fix = "Remove the passdb; people are made in usermgmt"
    bad = "passdb static {\n  password = secret\n}\n"
    good = "passdb sql {\n  query = SELECT …\n}\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at every passdb, in the 2.4 and in the 2.3 dialect, and at the mechanisms."""
        for tree in subject.blocks("dovecot"):
            for block in tree.walk():
                if block.name == "passdb":
                    yield from self._passdb(block)
                for setting in block.settings:
                    yield from self._setting(setting)

    def _setting(self, setting: Setting) -> Iterator[Found]:
        name, value, place = setting.name, setting.value, setting.place
        if name == "auth_mechanisms" and "anonymous" in value.lower().split():
            yield Found(place, "anonymous log-in is on", "plain login", "dovecot")
        if name == "auth_master_user_separator" and value:
            yield Found(place, "master users may log in as anybody", "leave it out", "dovecot")
        if name in LOGGED and value.lower() not in OFF:
            yield Found(place, f"{name} writes passwords into the log", f"{name} = no", "dovecot")
        if name.endswith("default_password_scheme") and PLAIN.match(value):
            yield Found(place, f"passwords are kept as {value}", "a scheme that hashes, BLF-CRYPT", "dovecot")
        if name.startswith("!include") and "conf.d" in value:
            yield Found(place, f"{value} brings the image's static passdb in", "leave it out", "dovecot")

    def _passdb(self, block: Block) -> Iterator[Found]:
        driver = block.get("driver") or block.get("passdb_driver") or block.label
        if driver not in ALLOWED:
            yield Found(block.place, f"a passdb of the kind {driver or 'unknown'}", "passdb sql", "dovecot")
        for setting in (each for inner in block.walk() for each in inner.settings):
            free = "nopassword" in f"{setting.name} {setting.value}".lower() or setting.name in (
                "master",
                "passdb_master",
            )
            if free and setting.value.lower() not in OFF:
                what = f"{setting.name} lets people in without their password"
                yield Found(setting.place, what, "leave it out", "dovecot")
            elif setting.name.endswith("query") and not ACTIVE.search(setting.value):
                what = "who was switched off may still log in"
                yield Found(setting.place, what, "AND … active in the query", "dovecot")


check = MAIL_CFG_009()
