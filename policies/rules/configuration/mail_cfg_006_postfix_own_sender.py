from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration, Settings, split

YES = ("yes", "true", "1")
DEMAND = (
    "reject_sender_login_mismatch",
    "reject_known_sender_login_mismatch",
    "reject_authenticated_sender_login_mismatch",
)


class MAIL_CFG_006(ConfigurationRule):
    """Without this every user may send as any other: one stolen password writes mail from the chief's
    address.

    reject_sender_login_mismatch compares the sender with the names that smtpd_sender_login_maps gives the
    login.
    """

    name = (
        "Users send under their own names only: reject_sender_login_mismatch first, with "
        "smtpd_sender_login_maps"
    )
    severity = Severity.HIGH
    fix = (
        "Put reject_sender_login_mismatch before any permit in the sender restrictions "
        "of each submission port"
    )
    bad = "submission_sender_restrictions = permit_sasl_authenticated, reject\n"
    good = (
        "submission_sender_restrictions = reject_sender_login_mismatch, permit_sasl_authenticated, reject\n"
    )

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at each process that offers AUTH."""
        main = subject.postfix_main
        if main is None:
            return
        with_auth = [
            each
            for each in subject.postfix_master
            if self._auth(each.options, main) and each.command == "smtpd"
        ]
        for process in with_auth:
            value, place = process.options.get(
                "smtpd_sender_restrictions", (main.get("smtpd_sender_restrictions"), process.place)
            )
            if not self._asks(split(main.expand(value))):
                what = f"{process.name} takes any sender from whoever has logged in"
                yield Found(place, what, "reject_sender_login_mismatch before any permit", process.name)
        if with_auth and not main.expanded("smtpd_sender_login_maps"):
            where = main.where("smtpd_sender_login_maps")
            yield Found(
                where, "smtpd_sender_login_maps is not set", "the map of logins and senders", "main.cf"
            )

    def _auth(self, options: dict, main: Settings) -> bool:
        return (
            options.get("smtpd_sasl_auth_enable", (main.expanded("smtpd_sasl_auth_enable"), None))[0] in YES
        )

    def _asks(self, words: list[str]) -> bool:
        for word in words:
            if word in DEMAND:
                return True
            if word.startswith("permit"):
                return False
        return False


check = MAIL_CFG_006()
