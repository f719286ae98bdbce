import re
from collections.abc import Iterator

from policies.config.postfix import Parameters
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

DEMAND = ("reject_sender_login_mismatch", "reject_authenticated_sender_login_mismatch")
#: Maps that say who owns an address, one by one; a pattern or a constant would give everybody all of them.
MAPS = re.compile(r"^(?:proxy:)?mysql:\S+$")


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
        main, seen = subject.postfix_main, set()
        for process in subject.postfix_master if main else ():
            view = process.view(main)
            if process.command != "smtpd" or view.says("smtpd_sasl_auth_enable", "no") == "no":
                continue
            name = "smtpd_sender_restrictions"
            if not self._asks(view.restrictions(name)):
                place = process.options.get(name, ("", process.place))[1]
                what = f"{process.name} takes any sender from whoever has logged in"
                yield Found(place, what, "reject_sender_login_mismatch before any permit", process.name)
            for what in self._maps(view):
                place = view.where("smtpd_sender_login_maps")
                if place not in seen:
                    seen.add(place)
                    yield Found(place, what, "the map of logins and senders, in the database", process.name)

    def _maps(self, view: Parameters) -> Iterator[str]:
        words = view.words("smtpd_sender_login_maps")
        if not words:
            yield "smtpd_sender_login_maps is not set"
        for word in words:
            if not MAPS.match(word):
                yield f"smtpd_sender_login_maps has {word}, which may give everybody every address"

    def _asks(self, words: list[str]) -> bool:
        for word in words:
            if word in DEMAND:
                return True
            if word.startswith(("permit", "check_")) or "$" in word or word == "reject":
                return word == "reject"
        return False


check = MAIL_CFG_006()
