import ipaddress
from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration, Settings


def _loopback(network: str) -> bool:
    try:
        return ipaddress.ip_network(network.replace("[", "").replace("]", ""), strict=False).is_loopback
    except ValueError:
        return False


class MAIL_CFG_001(ConfigurationRule):
    """Postfix relays for everybody in mynetworks without asking who they are.

    Behind Docker's address translation every client may seem to come from the bridge's private address, so a
    trusted private network is an open relay: spammers find it within hours, and the domain is on every
    blocklist.
    """

    name = (
        "Postfix trusts itself only: mynetworks = 127.0.0.0/8 [::1]/128, and no permit_mynetworks for clients"
    )
    severity = Severity.CRITICAL
    fix = "Write mynetworks = 127.0.0.0/8 in config/postfix/main.cf; whoever sends from elsewhere logs in"
    language = "ini"
    bad = "mynetworks = 127.0.0.0/8 172.16.0.0/12\n"
    good = "mynetworks = 127.0.0.0/8\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at mynetworks and mynetworks_style."""
        main = subject.postfix_main
        if main:
            yield from self._main(main)

    def _main(self, main: Settings) -> Iterator[Found]:
        if "mynetworks" not in main.values:
            where = main.where("mynetworks_style")
            yield Found(where, "mynetworks is not set", "mynetworks = 127.0.0.0/8", "mynetworks")
        for network in main.words("mynetworks"):
            if not _loopback(network):
                yield Found(
                    main.where("mynetworks"),
                    f"mynetworks trusts {network}",
                    "loopback addresses only",
                    "mynetworks",
                )


check = MAIL_CFG_001()
