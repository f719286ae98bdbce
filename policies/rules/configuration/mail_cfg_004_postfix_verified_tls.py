from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration

LEVELS = ("secure", "verify", "fingerprint")


class MAIL_CFG_004(ConfigurationRule):
    """Postfix hands the relay's password, and all outgoing mail, to whoever answers under the relay's name.

    With `may` or `encrypt` an answer with any certificate is good enough. `secure` asks for one that names
    the relay and that a known authority signed. The same holds for the hop to Dovecot.
    """

    name = (
        "Verified TLS to the relay and to Dovecot: smtp_tls_security_level = secure, "
        "lmtp_tls_security_level = secure"
    )
    severity = Severity.HIGH
    fix = "Write secure for both levels, and name the relay in relayhost"
    bad = "smtp_tls_security_level = may\n"
    good = "smtp_tls_security_level = secure\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at both levels, in main.cf and in options of master.cf."""
        main = subject.postfix_main
        if main is None:
            return
        for name in ("smtp_tls_security_level", "lmtp_tls_security_level"):
            value = main.expanded(name)
            if value not in LEVELS:
                yield Found(main.where(name), f"{name} is {value or 'not set'}", f"{name} = secure", name)
            for process in subject.postfix_master:
                given, place = process.options.get(name, (LEVELS[0], process.place))
                if main.expand(given) not in LEVELS:
                    yield Found(place, f"{process.name}: {name} is {given}", f"{name}=secure", process.name)
        if not main.expanded("relayhost"):
            where = main.where("relayhost")
            yield Found(
                where,
                "there is no relay: mail goes out from this address",
                "relayhost = [host]:587",
                "relayhost",
            )


check = MAIL_CFG_004()
