from collections.abc import Iterator

from policies.config.postfix import Parameters, Process
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

LEVELS = ("secure", "verify", "fingerprint")
LEVEL = ("smtp_tls_security_level", "lmtp_tls_security_level")
#: Settings that lay another level, or another way out, over those of main.cf.
AROUND = (
    "smtp_tls_policy_maps",
    "lmtp_tls_policy_maps",
    "smtp_tls_per_site",
    "lmtp_tls_per_site",
    "transport_maps",
    "sender_dependent_relayhost_maps",
    "sender_dependent_default_transport_maps",
)
#: These take the name from DNS, which anybody on the way may answer.
MATCHES = ("smtp_tls_secure_cert_match", "lmtp_tls_secure_cert_match")
CLIENTS = ("smtp", "lmtp")


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
        """Look at main.cf, then at the options of the processes that send."""
        main = subject.postfix_main
        if main is None:
            return
        yield from self._view("main.cf", main, (*LEVEL, *AROUND, *MATCHES))
        for process in subject.postfix_master:
            yield from self._process(process, process.view(main))
        if not main.expanded("relayhost"):
            where = main.where("relayhost")
            what = "there is no relay: mail goes out from this address"
            yield Found(where, what, "relayhost = [host]:587", "relayhost")

    def _process(self, process: Process, view: Parameters) -> Iterator[Found]:
        """Look at what its options change, themselves or by a name that they use."""
        names = [name for name in (*LEVEL, *AROUND, *MATCHES) if name in process.options]
        if process.command in CLIENTS:
            names += [name for name in LEVEL if "$" in view.get(name) and name not in names]
        yield from self._view(process.name, view, tuple(names))

    def _view(self, who: str, view: Parameters, names: tuple[str, ...]) -> Iterator[Found]:
        for name in names:
            value = view.says(name)
            if name in LEVEL and value not in LEVELS:
                what = f"{name} is {value or 'not set'}"
                yield Found(view.where(name), f"{who}: {what}", f"{name} = secure", who)
            elif name in AROUND and value:
                what = f"{name} lays other rules over the level of TLS and the relay"
                yield Found(view.where(name), f"{who}: {what}", "leave it out", who)
            elif name in MATCHES and ("hostname" in value or "$" in value):
                yield Found(view.where(name), f"{who}: {name} is {value}", "nexthop, dot-nexthop", who)


check = MAIL_CFG_004()
