from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.sources.configuration import Configuration

FOLDER = "config/rspamd/"
OVERRIDE = "config/rspamd/override.d/worker-controller.inc"
PASSWORDS = ("password", "enable_password", "keypair")


class MAIL_CFG_012(ConfigurationRule):
    """rspamd ships with the password q1, which is in every manual; with it anybody in the network teaches it
    spam as ham.

    local.d only merges, so the default stays valid beside ours: the file must be in override.d. secure_ip
    names addresses that need no password at all.
    """

    name = (
        "rspamd has no default password: override.d/worker-controller.inc includes the "
        "one that start.sh wrote, secure_ip = []"
    )
    severity = Severity.HIGH
    fix = (
        "Include /run/rspamd/controller.inc in override.d/worker-controller.inc, write "
        "no password into a file, and secure_ip = []"
    )
    bad = 'password = "q1";\n'
    good = '.include(try=false; priority=11) "/run/rspamd/controller.inc"\n'

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look for the include, then at every file of rspamd for a password or a trusted address."""
        trees = subject.blocks("ucl", FOLDER)
        if not trees:
            return
        override = subject.block(OVERRIDE)
        includes = (
            [each for each in override.settings if each.name.startswith(".include")] if override else []
        )
        if not any(
            each.value.endswith("/run/rspamd/controller.inc") and "try=true" not in each.name
            for each in includes
        ):
            yield Found(
                Place(OVERRIDE),
                "the password that rspamd ships with is valid",
                "the include of start.sh's file",
                "rspamd",
            )
        for tree in trees:
            for block in tree.walk():
                for name in PASSWORDS:
                    if block.get(name):
                        yield Found(
                            block.where(name),
                            f"{name} stands in the file",
                            "a secret in /run/secrets",
                            "rspamd",
                        )
                trusted = block.get("secure_ip").strip("[] ")
                if trusted:
                    what = f"{trusted} need no password"
                    yield Found(block.where("secure_ip"), what, "secure_ip = []", "rspamd")
        controller = subject.block("config/rspamd/local.d/worker-controller.inc")
        if controller is not None and not controller.all("secure_ip"):
            yield Found(controller.place, "rspamd's own secure_ip is in force", "secure_ip = []", "rspamd")


check = MAIL_CFG_012()
