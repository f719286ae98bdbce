from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration

OLD = ("SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1", "ANY", "")
OFF = ("no", "yes", "false")


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
        """Look at the top of each file, then into its blocks."""
        for tree in subject.blocks("dovecot"):
            if tree.get("ssl") != "required":
                yield Found(
                    tree.where("ssl"), f"ssl is {tree.get('ssl') or 'not set'}", "ssl = required", "dovecot"
                )
            for block in tree.walk():
                cleartext = (
                    block.get("auth_allow_cleartext", "no") != "no"
                    or block.get("disable_plaintext_auth", "yes") != "yes"
                )
                if cleartext:
                    place = block.where("auth_allow_cleartext")
                    yield Found(
                        place, "a password is taken in the clear", "auth_allow_cleartext = no", "dovecot"
                    )
                if block.get("ssl_min_protocol", "TLSv1.2") in OLD:
                    place = block.where("ssl_min_protocol")
                    yield Found(
                        place,
                        f"TLS begins at {block.get('ssl_min_protocol')}",
                        "ssl_min_protocol = TLSv1.2",
                        "dovecot",
                    )
                if (
                    block is not tree
                    and block.name in ("protocol", "local", "remote")
                    and block.get("ssl", "required") in OFF
                ):
                    yield Found(
                        block.where("ssl"),
                        f"{block.name} {block.label} does without TLS",
                        "leave ssl out",
                        "dovecot",
                    )


check = MAIL_CFG_008()
