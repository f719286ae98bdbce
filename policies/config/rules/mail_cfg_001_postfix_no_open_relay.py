import ipaddress
from collections.abc import Iterator

from policies.config.postfix import Parameters
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

#: Whom these name may relay, or say for others who they are and that they have logged in.
TRUSTED = ("mynetworks", "smtpd_authorized_xclient_hosts")


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
        """Look at main.cf, then at the options of each process."""
        main = subject.postfix_main
        if main and "mynetworks" not in main.values:
            where = main.where("mynetworks_style")
            yield Found(where, "mynetworks is not set", "mynetworks = 127.0.0.0/8", "mynetworks")
        yield from dict.fromkeys(found for _, view in subject.views() for found in self._view(view))

    def _view(self, view: Parameters) -> Iterator[Found]:
        for name in TRUSTED:
            for network in view.words(name):
                if not _loopback(network):
                    what = f"{name} trusts {network}"
                    yield Found(view.where(name), what, "loopback addresses only", name)


check = MAIL_CFG_001()
