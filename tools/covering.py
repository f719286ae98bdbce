"""Which answers the template is generated with in tests: every single change, all pairs, all on, all off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from allpairspy import AllPairs

from tools.answers import questions

Changes = Mapping[str, object]

# Another good answer to each question that takes free text or a number; good beside the other defaults.
OTHER_TEXTS: Changes = {
    "project_name": "例え Mail (2)",
    "project_slug": "acme-mail",
    "mail_domain": "acme.co.jp",
    "webmail_host": "webmail.example.com",
    "account_host": "accounts.example.com",
    "admin_host": "administration.example.com",
    "api_host": "inbound.example.com",
    "admin_email": "ops@acme.org",
    "timezone": "Asia/Tokyo",
    "ssd_path": "/var/lib/acme/ssd",
    "hdd_path": "/mnt/disk2/acme",
    "aws_region": "eu-central-1",
    "relay_host": "smtp.acme.org",
    "relay_port": 2525,
    "backup_bucket": "acme-mail-backup",
    "state_bucket": "acme-mail-state",
    "object_lock_days": 365,
    "monthly_budget_usd": 25,
}
EVERY_TEXT: Changes = {
    **OTHER_TEXTS,
    "relay": "smtp",
    "webmail_host": "webmail.acme.co.jp",
    "account_host": "accounts.acme.co.jp",
    "admin_host": "administration.acme.co.jp",
    "api_host": "inbound.acme.co.jp",
}
# A domain of one's own needs an address that somebody reads, a host of one's own no named relay; and so on.
BESIDE: Mapping[str, Changes] = {
    "mail_domain": {"admin_email": OTHER_TEXTS["admin_email"]},
    "relay_host": {"relay": "smtp"},
    "forward_by_relay": {"relay": "smtp"},
}


def options() -> dict[str, list]:
    """Return the questions with a fixed set of answers, the default first."""
    found = {}
    for question, default in questions().items():
        if isinstance(default, bool):
            found[question] = [default, not default]
        elif isinstance(default, list):
            found[question] = list(default)
    return found


def _without_defaults(answers: Changes) -> Changes:
    return {question: value for question, value in answers.items() if value != options()[question][0]}


def singles() -> Iterator[Changes]:
    """Yield no change, and every change of one answer alone, or with the one that it needs."""
    yield {}
    for question, (_, *others) in options().items():
        for other in others:
            yield {question: other, **BESIDE.get(question, {})}
    for question, other in OTHER_TEXTS.items():
        yield {question: other, **BESIDE.get(question, {})}


def pairs() -> Iterator[Changes]:
    """Yield a covering array: any two answers to any two questions of `options` meet in one of these."""
    names = list(options())

    def good(row: list) -> bool:
        return go_together(dict(zip(names, row, strict=False)))

    for row in AllPairs(list(options().values()), good):
        yield _without_defaults(dict(zip(names, row, strict=True)))


def go_together(answers: Changes) -> bool:
    """Tell whether answers are not refused beside one another, as far as there are any."""
    needed = [BESIDE.get(question, {}) for question, value in answers.items() if value is True]
    return all(answers.get(other, value) == value for each in needed for other, value in each.items())


def extremes() -> Iterator[Changes]:
    """Yield everything on (the last choices, and true) and everything off (the first choices, and false)."""
    on = {q: True if True in values else values[-1] for q, values in options().items()}
    yield _without_defaults({**on, **BESIDE["forward_by_relay"]})
    yield _without_defaults({q: False if False in values else values[0] for q, values in options().items()})
    yield EVERY_TEXT


def name(changes: Changes) -> str:
    """Return a readable name for what differs from the defaults."""
    return ",".join(f"{question}={value}" for question, value in changes.items()) or "defaults"


def combinations() -> dict[str, Changes]:
    """Return every combination once, by its name."""
    found = {}
    for changes in (*singles(), *pairs(), *extremes()):
        key = "every text changed" if changes is EVERY_TEXT else name(changes)
        found.setdefault(key, changes)
    return found
