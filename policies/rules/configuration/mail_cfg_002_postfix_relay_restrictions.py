from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration, Settings, split

LISTS = ("smtpd_relay_restrictions", "smtpd_recipient_restrictions")
GUARDS = ("reject_unauth_destination", "defer_unauth_destination", "reject", "defer")
#: These let nobody through but those who proved who they are.
PROVEN = ("permit_sasl_authenticated",)
OPEN = (
    "permit",
    "permit_mynetworks",
    "permit_tls_all_clientcerts",
    "permit_naked_ip_address",
    "permit_auth_destination",
)


class MAIL_CFG_002(ConfigurationRule):
    """A server that takes mail from anybody to anybody is an open relay.

    The restrictions are read from left to right: a permit before reject_unauth_destination, in main.cf or in
    an option of master.cf, is all it takes. The domain is on every blocklist by the next morning.
    """

    name = "No open relay: smtpd_relay_restrictions refuses foreign destinations before anything permits"
    severity = Severity.CRITICAL
    fix = "Begin with permit_sasl_authenticated at most, and end with reject_unauth_destination or reject"
    bad = "smtpd_relay_restrictions = permit_mynetworks, permit\n"
    good = "smtpd_relay_restrictions = reject_unauth_destination\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at main.cf, then at each process that takes mail."""
        main = subject.postfix_main
        if main is None:
            return
        for name in LISTS:
            default = "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination"
            words = main.words(name, default if name == LISTS[0] else "")
            if wrong := self._wrong(words, name == LISTS[0]):
                yield Found(
                    main.where(name), f"{name} {wrong}", "reject_unauth_destination before any permit", name
                )
        yield from self._processes(subject, main)

    def _processes(self, subject: Configuration, main: Settings) -> Iterator[Found]:
        for process in subject.postfix_master:
            for name in LISTS:
                if name in process.options:
                    value, place = process.options[name]
                    if wrong := self._wrong(split(main.expand(value)), name == LISTS[0]):
                        what = f"{process.name}: {name} {wrong}"
                        yield Found(place, what, "reject_unauth_destination before any permit", process.name)

    def _wrong(self, words: list[str], must_refuse: bool) -> str:
        for word in words:
            if word in GUARDS:
                return ""
            if word in OPEN or (word.startswith("permit_") and word not in PROVEN):
                return f"says {word} first"
        return "refuses nobody" if must_refuse else ""


check = MAIL_CFG_002()
