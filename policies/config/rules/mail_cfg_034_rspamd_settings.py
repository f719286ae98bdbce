from collections.abc import Iterator

from policies.config import demands
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

FOLDER = "config/rspamd/"


class MAIL_CFG_034(ConfigurationRule):
    """A module that is off, a score nobody reaches or a server elsewhere: rspamd runs on, and judges nothing.

    policies/data/settings/rspamd.yml says what each setting must be and what happens otherwise; a file of
    override.d counts as much as one of local.d.
    """

    name = "rspamd: no setting turns a check off, asks a foreign server or opens a door: see the table"
    severity = Severity.HIGH
    fix = (
        "Write the value that the message names, or leave the setting out. What is allowed stands in "
        "policies/data/settings/rspamd.yml"
    )
    bad = "reject = null;\n"
    good = "reject = 15;\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at every setting; the name of its file stands in front of the blocks around it."""
        for tree in subject.blocks("ucl", FOLDER):
            name = tree.place.file.rpartition("/")[2]
            yield from demands.found("rspamd", demands.of_block(tree, name))


check = MAIL_CFG_034()
