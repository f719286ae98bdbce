import re
from collections.abc import Iterator

from policies.config import recorded
from policies.config.braces import Block, Setting
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity

FOLDER = "config/rspamd/"
OVERRIDE = "config/rspamd/override.d/worker-controller.inc"
WRITTEN = "/run/rspamd/controller.inc"
PASSWORDS = ("password", "enable_password", "keypair")
LOOPBACK = re.compile(r"^(?:127\.[\d./]+|\[?::1\]?(?:/128)?|localhost)$")
#: start.sh writes a password that it does not take from a variable or a secret.
LITERAL = re.compile(
    r"password\s*=\s*\\?[\"'](?![%$\\])[^\"'\\%$]+\\?[\"']|\$[012]\$[a-z0-9]{20,}|--password\s+[\"']?\w"
)


class MAIL_CFG_012(ConfigurationRule):
    """rspamd ships with the password q1, which is in every manual; with it anybody in the network teaches it
    spam as ham.

    local.d only merges, so the default stays valid beside ours: the file must be in override.d. secure_ip
    names addresses that need no password at all. start.sh writes that file, so the gate knows the digest of
    its code as it was reviewed (policies/data/recorded.yml).
    """

    name = (
        "rspamd has no default password: override.d/worker-controller.inc includes the "
        "one that start.sh wrote, secure_ip = []"
    )
    severity = Severity.HIGH
    fix = (
        "Include /run/rspamd/controller.inc in override.d/worker-controller.inc, write "
        "no password into a file, and secure_ip = []; after a review of a changed start.sh write "
        "its digest, which the message names, into policies/data/recorded.yml"
    )
    bad = 'password = "q1";\n'
    good = '.include(try=false; priority=11) "/run/rspamd/controller.inc"\n'

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look for the include, then at every file of rspamd for a password or a trusted address."""
        trees = subject.blocks("ucl", FOLDER)
        if not trees:
            return
        override = subject.block(OVERRIDE)
        if not any(self._must_be_there(each) for each in (override.settings if override else ())):
            what = "the password that rspamd ships with is valid"
            yield Found(Place(OVERRIDE), what, "the include of start.sh's file", "rspamd")
        for block in (each for tree in trees for each in tree.walk()):
            yield from self._block(block)
        controller = subject.block("config/rspamd/local.d/worker-controller.inc")
        if controller is not None and not controller.all("secure_ip"):
            yield Found(controller.place, "rspamd's own secure_ip is in force", "secure_ip = []", "rspamd")
        for file in subject.files("script", FOLDER):
            for number, line in enumerate((subject.text(file) or "").splitlines(), 1):
                if LITERAL.search(line) and not line.lstrip().startswith("#"):
                    what = "a password of rspamd stands in the file"
                    yield Found(Place(file, number), what, "a secret in /run/secrets", "rspamd")
        yield from recorded.changed(subject, self.rule_id)

    def _must_be_there(self, setting: Setting) -> bool:
        """Tell whether this is the include, and rspamd does not start without its file."""
        name = re.sub(r"\s", "", setting.name.lower())
        optional = "try=" in name and not re.search(r"try=(?:false|no|off)", name)
        return name.startswith(".include") and setting.value == WRITTEN and not optional

    def _block(self, block: Block) -> Iterator[Found]:
        for setting in block.settings:
            name, value, place = setting.name, setting.value, setting.place
            if name in PASSWORDS and value:
                yield Found(place, f"{name} stands in the file", "a secret in /run/secrets", "rspamd")
            trusted = [each for each in re.split(r"[\s,\[\]]+", value) if each and not LOOPBACK.match(each)]
            if name == "secure_ip" and trusted:
                yield Found(place, f"{', '.join(trusted)} need no password", "secure_ip = []", "rspamd")


check = MAIL_CFG_012()
