"""MAIL_CFG_002: no open relay."""

import re
from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.model import Found

LISTS = ("smtpd_relay_restrictions", "smtpd_recipient_restrictions")
DEFAULTS = {LISTS[0]: "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination"}
GUARDS = ("reject_unauth_destination", "defer_unauth_destination", "reject", "defer")
#: This lets mail to our own domains through: whoever asks whether we relay may say so before the refusal.
OWN = "permit_auth_destination"
#: A table of ours whose every answer refuses: it may be asked about recipients before anything else.
REFUSES, SQL = (
    ["check_recipient_access", "proxy:mysql:/run/postfix/sql/refused.cf"],
    "config/postfix/sql/refused.cf",
)
#: This table, with those two lines in it, refuses every client but Dovecot's container.
DOVECOT = ["check_reverse_client_hostname_access", "regexp:/etc/postfix/dovecot_access"]
DOVECOT_FILE = "config/postfix/dovecot_access"
ONLY_DOVECOT = [r"/^[a-z0-9_-]+-dovecot-[0-9]+\.[a-z0-9_-]+$/ DUNNO", "/[^0-9.]/ REJECT"]


def check(subject: Configuration) -> Iterator[Found]:
    """Look at main.cf, then at each process that takes mail, with its options laid over it."""
    found = {}
    only_dovecot = [line for _, line in subject.lines(DOVECOT_FILE)] == ONLY_DOVECOT
    for who, view in subject.views():
        for name in LISTS:
            words = view.restrictions(name, DEFAULTS.get(name, ""))
            if name == LISTS[1] and _only_refuses(subject.text(SQL) or ""):
                words = _without_refusals(words)
            if only_dovecot and words[:2] == DOVECOT:
                continue
            if wrong := _wrong(words, name == LISTS[0]):
                should = "reject_unauth_destination before any permit"
                at = view.where(name)
                found.setdefault(
                    (at, name), Found(at, f"{who}: {name} {wrong}", should, f"postfix/{who}/{name}")
                )
    yield from found.values()


def _wrong(words: list[str], relays: bool) -> str:
    for word in words:
        if word in GUARDS:
            return ""
        if word.startswith("permit") and word != "permit_sasl_authenticated" and not (relays and word == OWN):
            return f"says {word} first"
        if word.startswith("check_") and (relays or word.endswith("_access")):
            return f"asks {word} first, and that may permit"
        if "$" in word:
            return f"begins with {word}, and nobody knows what that is"
    return "refuses nobody" if relays else ""


def _only_refuses(sql: str) -> bool:
    """Whether no text in the query is an answer but a refusal: 5xx, and no word such as OK."""
    texts = re.findall("'([^']*)'", re.sub("^#.*", "", sql, flags=re.MULTILINE))
    answers = [text for text in texts if re.match(r"\s*\w", text)]
    return bool(answers) and all(re.match(r"5\d\d ", text) for text in answers)


def _without_refusals(words: list[str]) -> list[str]:
    at = next((n for n in range(len(words)) if words[n : n + 2] == REFUSES), None)
    return words if at is None else words[:at] + words[at + 2 :]
