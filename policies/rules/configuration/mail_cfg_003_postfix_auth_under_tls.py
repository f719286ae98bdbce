from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration, Process, Settings

YES = ("yes", "true", "1")


class MAIL_CFG_003(ConfigurationRule):
    """A password that is offered before TLS goes over the wire for everybody to read, and with it the
    mailbox.

    AUTH belongs to the submission ports, and there only after the connection is encrypted; the inbound port
    offers none, so that nobody can guess passwords through it.
    """

    name = (
        "AUTH only under TLS: smtpd_tls_auth_only = yes, and "
        "smtpd_tls_security_level=encrypt where AUTH is offered"
    )
    severity = Severity.CRITICAL
    fix = (
        "Set smtpd_tls_auth_only = yes in main.cf, and -o "
        "smtpd_tls_security_level=encrypt on each submission port"
    )
    bad = "smtpd_tls_auth_only = no\n"
    good = "smtpd_tls_auth_only = yes\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at what main.cf says, then at each process with its own options on top."""
        main = subject.postfix_main
        if main is None:
            return
        if main.expanded("smtpd_tls_auth_only", "no") not in YES:
            yield Found(
                main.where("smtpd_tls_auth_only"),
                "AUTH is offered without TLS",
                "smtpd_tls_auth_only = yes",
                "main.cf",
            )
        if "plaintext" in main.get("smtpd_sasl_security_options") or "noanonymous" not in main.get(
            "smtpd_sasl_security_options", "noanonymous"
        ):
            where = main.where("smtpd_sasl_security_options")
            yield Found(where, "AUTH without a name is allowed", "noanonymous", "main.cf")
        for process in subject.postfix_master:
            if process.command == "smtpd":
                yield from self._process(process, main)

    def _process(self, process: Process, main: Settings) -> Iterator[Found]:
        def option(name: str, default: str) -> str:
            value, _ = process.options.get(name, (main.expanded(name, default), process.place))
            return main.expand(value)

        def where(name: str) -> object:
            return process.options.get(name, ("", process.place))[1]

        name = process.name
        if option("smtpd_sasl_auth_enable", "no") not in YES:
            return
        if name in ("25", "smtp"):
            yield Found(
                where("smtpd_sasl_auth_enable"),
                "the inbound port offers AUTH",
                "smtpd_sasl_auth_enable=no",
                name,
            )
        if "smtpd_tls_auth_only" in process.options and option("smtpd_tls_auth_only", "no") not in YES:
            yield Found(where("smtpd_tls_auth_only"), f"{name} offers AUTH without TLS", "leave it out", name)
        if (
            option("smtpd_tls_security_level", "") != "encrypt"
            and option("smtpd_tls_wrappermode", "no") not in YES
        ):
            should = "-o smtpd_tls_security_level=encrypt"
            yield Found(
                where("smtpd_tls_security_level"),
                f"{name} offers AUTH and does not insist on TLS",
                should,
                name,
            )


check = MAIL_CFG_003()
