from collections.abc import Iterator

from policies.config.postfix import Parameters, Process, is_modern
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity


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
        seen = set()
        for who, view in subject.views():
            for name, what, should in self._wrong(view):
                if (view.where(name), what) not in seen:
                    seen.add((view.where(name), what))
                    yield Found(view.where(name), f"{who}: {what}", should, who)
        for process in subject.postfix_master:
            view = process.view(main)
            if process.command == "smtpd" and view.says("smtpd_sasl_auth_enable", "no") != "no":
                yield from self._process(process, view)

    def _wrong(self, view: Parameters) -> Iterator[tuple[str, str, str]]:
        """Yield each setting that is wrong, with what is wrong and what should be."""
        if view.says("smtpd_tls_auth_only", "no") != "yes":
            yield "smtpd_tls_auth_only", "AUTH is offered without TLS", "smtpd_tls_auth_only = yes"
        for name in ("smtpd_sasl_security_options", "smtpd_sasl_tls_security_options"):
            if "noanonymous" not in view.says(name, "noanonymous"):
                yield name, "AUTH without a name is allowed", f"{name} = noanonymous"
        name = "smtpd_tls_mandatory_protocols"
        if not is_modern(view.expanded(name, ">=TLSv1")):
            yield name, f"{name} allows an old TLS", f"{name} = >=TLSv1.2"

    def _process(self, process: Process, view: Parameters) -> Iterator[Found]:
        def found(name: str, what: str, should: str) -> Found:
            place = process.options.get(name, ("", process.place))[1]
            return Found(place, f"{process.name} {what}", should, process.name)

        if process.port == "25":
            yield found(
                "smtpd_sasl_auth_enable", "is the inbound port and offers AUTH", "smtpd_sasl_auth_enable=no"
            )
        level = view.says("smtpd_tls_security_level")
        if level != "encrypt" and view.says("smtpd_tls_wrappermode", "no") != "yes":
            should = "-o smtpd_tls_security_level=encrypt"
            yield found("smtpd_tls_security_level", "offers AUTH and does not insist on TLS", should)


check = MAIL_CFG_003()
