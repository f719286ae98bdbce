from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration


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
        """Look at main.cf, then for ways around it in master.cf."""
        main = subject.postfix_main
        if main is None:
            return
        where, milters = main.where("smtpd_milters"), main.expanded("smtpd_milters")
        if "rspamd" not in milters:
            yield Found(where, "mail is not filtered", "smtpd_milters = inet:rspamd:11332", "main.cf")
        if "default_action" in milters:
            yield Found(where, "a filter has an action of its own", "no default_action there", "main.cf")
        action = main.expanded("milter_default_action", "tempfail")
        if action != "tempfail":
            where, what = (
                main.where("milter_default_action"),
                f"mail passes when the filter is away: {action}",
            )
            yield Found(where, what, "milter_default_action = tempfail", "main.cf")
        for process in subject.postfix_master:
            for name, (value, place) in process.options.items():
                if self._goes_around(name, main.expand(value)):
                    what = f"{process.name} goes around the filter: {name}={value}"
                    yield Found(place, what, "leave it out", process.name)

    def _goes_around(self, name: str, value: str) -> bool:
        return (
            (name == "smtpd_milters" and "rspamd" not in value)
            or (name == "milter_default_action" and value != "tempfail")
            or (name == "receive_override_options" and "no_milters" in value)
        )


check = MAIL_CFG_005()
