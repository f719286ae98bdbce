"""MAIL_CFG_006: users send under their own names."""

import re
from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.model import Found

DEMAND = ("reject_sender_login_mismatch", "reject_authenticated_sender_login_mismatch")
#: Maps that say who owns an address, one by one; a pattern or a constant would give everybody all of them.
MAPS = re.compile(r"^(?:proxy:)?mysql:\S+$")


def check(subject: Configuration) -> Iterator[Found]:
    """Look at each process that offers AUTH."""
    for process, view in subject.smtpd():
        if view.says("smtpd_sasl_auth_enable", "no") == "no":
            continue
        if not _asks(view.restrictions("smtpd_sender_restrictions")):
            place = process.options.get("smtpd_sender_restrictions", ("", process.place))[1]
            what = f"{process.name} takes any sender from whoever has logged in"
            should = "reject_sender_login_mismatch before any permit"
            yield Found(place, what, should, f"postfix/{process.name}/smtpd_sender_restrictions")
        name = "smtpd_sender_login_maps"
        wrong = [word for word in view.words(name) or ["nothing"] if not MAPS.match(word)]
        for word in wrong:
            what = f"{name} has {word}, and so nobody, or everybody, owns an address"
            should = "the map of logins and senders, in the database"
            yield Found(view.where(name), what, should, f"postfix/{name}")


def _asks(words: list[str]) -> bool:
    for word in words:
        if word in DEMAND or word == "reject":
            return True
        if word.startswith(("permit", "check_")) or "$" in word:
            return False
    return False
