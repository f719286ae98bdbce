from collections.abc import Iterator

from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

NEW = ("TLSv1.2", "TLSv1.3", "LATEST")
MAIN = "config/dovecot/dovecot.conf"
#: Booleans of Dovecot: whatever begins with y, and 1.
YES, NO = ("y", "1"), ("no", "n", "0")


class MAIL_CFG_008(ConfigurationRule):
    """A mail program that is set up badly sends its password in the clear if the server lets it, and nobody
    notices.

    ssl = required and auth_allow_cleartext = no refuse it before the password is sent.
    """

    name = (
        "Dovecot takes no password without TLS: ssl = required, auth_allow_cleartext = no, TLS 1.2 at least"
    )
    severity = Severity.CRITICAL
    fix = (
        "Set ssl = required, auth_allow_cleartext = no and ssl_min_protocol = TLSv1.2, "
        "and change them in no block"
    )
    bad = "ssl = yes\nauth_allow_cleartext = yes\n"
    good = "ssl = required\nssl_min_protocol = TLSv1.2\nauth_allow_cleartext = no\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the top of the main file, then into the blocks of all."""
        for tree in subject.blocks("dovecot"):
            whole = tree.place.file == MAIN or MAIN not in subject.known
            if whole and not tree.all("ssl"):
                yield Found(tree.place, "ssl is not set", "ssl = required", "dovecot")
            for block in tree.walk():
                yield from self._block(block)

    def _block(self, block: Block) -> Iterator[Found]:
        """Look at every setting: a later one, or one in a filter, is in force for somebody."""
        inside = f" in {block.name} {block.label}".rstrip() if block.name else ""
        for setting in block.settings:
            name, value = setting.name, setting.value
            if name == "ssl" and block.name != "inet_listener" and value != "required":
                yield Found(setting.place, f"ssl is {value}{inside}", "ssl = required", "dovecot")
            cleartext = name == "auth_allow_cleartext" and value.lower() not in NO
            if cleartext or (name == "disable_plaintext_auth" and not value.lower().startswith(YES)):
                what = f"a password is taken in the clear{inside}"
                yield Found(setting.place, what, "auth_allow_cleartext = no", "dovecot")
            if name.endswith("ssl_min_protocol") and value not in NEW:
                what = f"TLS begins at {value or 'nothing'}{inside}"
                yield Found(setting.place, what, "ssl_min_protocol = TLSv1.2", "dovecot")
            if name == "login_trusted_networks" and value:
                what = f"{value} may log in without TLS{inside}"
                yield Found(setting.place, what, "leave login_trusted_networks out", "dovecot")


check = MAIL_CFG_008()
