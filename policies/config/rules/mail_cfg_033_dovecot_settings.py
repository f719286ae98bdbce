import re
from collections.abc import Iterator

from policies.config import demands, recorded
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.shared import tables

#: What a script that nobody recorded may not do with a mail.
LOSES = re.compile(r"\b(?:discard|redirect|reject|ereject|execute|filter|notify|enotify|pipe)\b")


class MAIL_CFG_033(ConfigurationRule):
    """One setting in one block opens the administration of all mailboxes, hands log-ins to another server, or
    lets a user's own script run programs.

    policies/data/settings/dovecot.yml says what each must be and what happens otherwise.
    """

    name = "Dovecot: no setting opens a door, runs programs, gives log-ins away or loses mail: see the table"
    severity = Severity.HIGH
    fix = (
        "Write the value that the message names, or leave the setting out. What is allowed stands in "
        "policies/data/settings/dovecot.yml"
    )
    bad = "service doveadm {\n  inet_listener http {\n    port = 8080\n  }\n}\n"
    good = "service lmtp {\n  inet_listener lmtp {\n    port = 31024\n  }\n}\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at every setting, then at scripts that nobody has recorded."""
        for tree in subject.blocks("dovecot"):
            yield from demands.found("dovecot", demands.of_block(tree))
        for file in subject.files("sieve", "config/dovecot/"):
            plain = recorded.code(subject.text(file) or "", "sieve")
            words = LOSES.findall(re.sub(r'"(?:\\.|[^"\\])*"', '""', plain))
            if file not in tables.table("recorded") and words and self._is_named(subject, file):
                what = f"a script that nobody has recorded says {', '.join(dict.fromkeys(words))}"
                should = f"without it, or the digest of the reviewed script in {recorded.TABLE}"
                yield Found(Place(file), what, should, "dovecot")

    def _is_named(self, subject: Configuration, file: str) -> bool:
        """Tell whether a script runs: it is named, and not only in a comment."""
        path = "/etc/dovecot/" + file.removeprefix("config/dovecot/")
        settings = (
            each for tree in subject.blocks("dovecot") for block in tree.walk() for each in block.settings
        )
        return any(each.name == "path" and each.value == path for each in settings)


check = MAIL_CFG_033()
