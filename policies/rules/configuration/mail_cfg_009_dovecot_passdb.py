from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.braces import Block
from policies.sources.configuration import Configuration

ALLOWED = ("sql",)


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
                if "anonymous" in block.get("auth_mechanisms").lower().split():
                    yield Found(
                        block.where("auth_mechanisms"), "anonymous log-in is on", "plain login", "dovecot"
                    )
                if block.get("auth_master_user_separator"):
                    place = block.where("auth_master_user_separator")
                    yield Found(place, "master users may log in as anybody", "leave it out", "dovecot")
            for setting in (each for block in tree.walk() for each in block.settings):
                if setting.name.startswith("!include") and "conf.d" in setting.value:
                    what = f"{setting.value} brings the image's static passdb in"
                    yield Found(setting.place, what, "leave it out", "dovecot")

    def _passdb(self, block: Block) -> Iterator[Found]:
        driver = block.get("driver") or block.get("passdb_driver") or block.label
        if driver not in ALLOWED:
            yield Found(block.place, f"a passdb of the kind {driver or 'unknown'}", "passdb sql", "dovecot")
        for inner in block.walk():
            for setting in inner.settings:
                free = "nopassword" in f"{setting.name} {setting.value}" or setting.name in (
                    "master",
                    "passdb_master",
                )
                if free and setting.value not in ("no", "false"):
                    yield Found(
                        setting.place,
                        f"{setting.name} lets people in without their password",
                        "leave it out",
                        "dovecot",
                    )


check = MAIL_CFG_009()
