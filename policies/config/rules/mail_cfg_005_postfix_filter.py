import re
from collections.abc import Iterator

from policies.config.postfix import Parameters
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

RSPAMD = re.compile(r"\binet:\[?rspamd\]?:\d+")
OWN_ACTION = re.compile(r"default_action\s*=\s*(?!tempfail\b)")
#: What may listen for mail: the filter is asked by smtpd only, and postscreen hands over to it.
LISTENERS = ("smtpd", "postscreen")
NAMES = ("smtpd_milters", "milter_default_action", "receive_override_options", "smtpd_milter_maps")


class MAIL_CFG_005(ConfigurationRule):
    """Every mail passes rspamd, which asks the virus scanner and signs what goes out.

    With any other action than tempfail a filter that is away lets mail through unseen, and an option in
    master.cf that empties smtpd_milters opens a way around it.
    """

    name = (
        "Every mail is filtered, and waits when the filter is away: smtpd_milters names "
        "rspamd, milter_default_action = tempfail"
    )
    severity = Severity.CRITICAL
    fix = (
        "Set smtpd_milters = inet:rspamd:11332 and milter_default_action = tempfail, and "
        "let no process override them"
    )
    bad = "milter_default_action = accept\n"
    good = "smtpd_milters = inet:rspamd:11332\nmilter_default_action = tempfail\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at main.cf, for ways around it in master.cf, then at where the edge's mail goes."""
        main = subject.postfix_main
        if main is None:
            return
        yield from self._view("main.cf", main, NAMES)
        for process in subject.postfix_master:
            view, names = process.view(main), [name for name in NAMES if name in process.options]
            yield from self._view(process.name, view, names)
            if process.kind in ("inet", "pass") and process.command not in LISTENERS:
                what = f"{process.name} takes mail with {process.command}, which asks no filter"
                yield Found(process.place, what, "smtpd", process.name)
        for service in subject.running("mailserver-api"):
            host = service.get("environment", "SMTP_HOST")
            if isinstance(host, str) and host != "postfix":
                what = f"inbound mail goes to {host}, past the filter"
                yield Found(service.where("environment", "SMTP_HOST"), what, "postfix", "mailserver-api")

    def _view(self, who: str, view: Parameters, names: tuple[str, ...] | list[str]) -> Iterator[Found]:
        for name in names:
            for what, should in self._wrong(name, view):
                yield Found(view.where(name), f"{who}: {what}", should, who)

    def _wrong(self, name: str, view: Parameters) -> Iterator[tuple[str, str]]:
        value = view.says(name)
        if name == "smtpd_milters" and not RSPAMD.search(value):
            yield "mail is not filtered", "smtpd_milters = inet:rspamd:11332"
        if name == "smtpd_milters" and OWN_ACTION.search(value):
            yield "a filter has an action of its own", "default_action=tempfail, or none"
        if name == "milter_default_action" and view.says(name, "tempfail") != "tempfail":
            yield f"mail passes when the filter is away: {value}", "milter_default_action = tempfail"
        if name == "receive_override_options" and ("no_milters" in value or "$" in value):
            yield f"it goes around the filter: {value}", "leave no_milters out"
        if name == "smtpd_milter_maps" and value:
            yield "some clients may have no filter", "leave smtpd_milter_maps out"


check = MAIL_CFG_005()
