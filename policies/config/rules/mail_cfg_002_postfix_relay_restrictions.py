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
#: A table of ours: a query, or a map.
SQL = re.compile(r"proxy:mysql:/run/postfix/(?P<file>sql/[\w.-]+)")
MAP = re.compile(r"(?:texthash|hash|lmdb|cidr|regexp|pcre):/etc/postfix/(?P<file>[\w.-]+)")
#: What refuses, or says nothing, behind the pattern of a line.
REFUSAL = re.compile(r"(?:REJECT|DEFER\w*|DUNNO|WARN|[45]\d\d)\b", re.IGNORECASE)
#: An answer of a table of ours: a refusal, or the class that asks the store of a mailbox whether it has room.
ANSWER = re.compile(r"5\d\d .*|quota_", re.DOTALL)
QUOTA = re.compile(r"check_policy_service inet:dovecot-[a-z0-9-]+:12340")
#: These tables, with such two lines in them, refuse every client but the containers of one service.
ASKS = "check_reverse_client_hostname_access"
REST = "/[^0-9.]/ REJECT"
ONLY = {
    "dovecot_access": (
        r"/^[a-z0-9_-]+-dovecot-[0-9]+\.[a-z0-9_-]+$/ DUNNO",
        r"/^[a-z0-9_-]+_dovecot-store-[a-z0-9-]+\.[0-9]+\.[a-z0-9]+\.[a-z0-9_-]+$/ DUNNO",
    ),
    "api_access": (
        r"/^[a-z0-9_-]+-mailserver-api-[0-9]+\.[a-z0-9_-]+$/ DUNNO",
        r"/^[a-z0-9_-]+_mailserver-api\.[a-z0-9]+\.[a-z0-9]+\.[a-z0-9_-]+$/ DUNNO",
    ),
}


def check(subject: Configuration) -> Iterator[Found]:
    """Look at main.cf, then at each process that takes mail, with its options laid over it."""
    found = {}
    firsts = [[ASKS, f"regexp:/etc/postfix/{name}"] for name in ONLY if _admits_one(subject, name)]
    for who, view in subject.views():
        for name in LISTS:
            words = view.restrictions(name, DEFAULTS.get(name, ""))
            if words[:2] in firsts:
                continue
            if name == LISTS[1]:
                words = _without_refusals(subject, words)
            if wrong := _wrong(words, name == LISTS[0]):
                should, at = "reject_unauth_destination before any permit", view.where(name)
                said = Found(at, f"{who}: {name} {wrong}", should, f"postfix/{who}/{name}")
                found.setdefault((at, name), said)
    yield from found.values()


def _admits_one(subject: Configuration, name: str) -> bool:
    """Tell whether a table of ONLY says what it must."""
    lines = [line for _, line in subject.lines(f"config/postfix/{name}")]
    return any(lines == [service, REST] for service in ONLY[name])


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


def _without_refusals(subject: Configuration, words: list[str]) -> list[str]:
    """Leave out the questions to tables that can only refuse: they may come before anything else."""
    kept: list[str] = []
    for word in words:
        if kept and kept[-1].startswith("check_") and _only_refuses(subject, word):
            kept.pop()
        else:
            kept.append(word)
    return kept


def _stores_asked(subject: Configuration) -> bool:
    """Tell whether every class of that name only asks a store; none is fine."""
    main = subject.postfix_main
    classes = (
        [each for each in main.words("smtpd_restriction_classes") if each.startswith("quota_")]
        if main
        else []
    )
    return all(main and QUOTA.fullmatch(main.expanded(each).strip()) for each in classes)


def _only_refuses(subject: Configuration, word: str) -> bool:
    """Tell whether a word names a table of ours of which every answer is a refusal: no word such as OK."""
    if query := SQL.fullmatch(word):
        sql = subject.text(f"config/postfix/{query['file']}") or ""
        texts = re.findall("'([^']*)'", re.sub("^#.*", "", sql, flags=re.MULTILINE))
        answers = [text for text in texts if re.match(r"\s*\w", text)]
        return _stores_asked(subject) and bool(answers) and all(map(ANSWER.fullmatch, answers))
    table = MAP.fullmatch(word)
    lines = subject.lines(f"config/postfix/{table['file']}") if table else []
    return bool(lines) and all(REFUSAL.match(line.split(None, 1)[-1]) for _, line in lines)
