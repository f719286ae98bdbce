"""Lists stay under 100 kB, however long what is in them is."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert
from support import Browser

from usermgmt.database import Database
from usermgmt.mail.usage import Usage
from usermgmt.models import (
    Alias,
    AuditEntry,
    Domain,
    DomainReport,
    DomainReportRow,
    HostNews,
    Mailbox,
    MailboxUsage,
    MailCount,
    MailReport,
    SenderRule,
    utc_now,
)
from usermgmt.services.aliases import MOST_DESTINATIONS
from usermgmt.services.mail_counts import KINDS, periods

MOST_BYTES = 100_000
ROWS = 120
NAME = "長" * 100
ZONE = ".".join(["d" * 58] * 3) + ".example"


def address(number: int, kind: str = "m") -> str:
    """As long as an address can be: 254 characters."""
    return f"{kind}{number:03}".ljust(64, "x") + f"@{domain(number % ROWS)}"


def domain(number: int) -> str:
    """As long as the domain of such an address can be."""
    return f"{number:03}.{ZONE}".ljust(189, "e")


def host_report() -> dict[str, Any]:
    """With more that is wrong than there are conditions."""
    wrong = {"id": "x", "severity": "critical", "title": "Mail is not delivered", "text": "長" * 1000}
    days = [f"{day}" for day in periods(utc_now().date())["day"]]
    return {
        "incidents": [{**wrong, "fix": "make queue; " * 20, "since": 1} for _ in range(ROWS)],
        "services": 11,
        "healthy": 1,
        "queue": {"waiting": 10**6, "deferred": 10**6, "held": 10**6, "oldest_at": 1},
        "jobs": [{"what": "backup", "at": 1, "late": True, "failed": True} for _ in range(3)],
        "probe": {"at": 1, "ok": False, "seconds": None},
        "certificate_days": 10**3,
        "disks": [{"name": "docker", "percent": 100, "free_bytes": 10**15} for _ in range(3)],
        "deliveries": [{"day": day, "seconds": [10**8] * 5, "deferred": 10**8} for day in days],
    }


def fill(database: Database) -> None:
    """More rows than a page has, each as long as it can be."""
    every = range(ROWS)
    deleted = range(ROWS, 2 * ROWS)
    box = {"password_hash": "x", "quota_bytes": 2**40 + 1, "display_name": NAME, "last_login_at": utc_now()}
    report = {"domain_id": 1, "at": utc_now(), "outcome": "deferred", "subject": "長" * 255}
    report |= {"moved_to": "junk", "size": 1, "score": 1, "threshold": 1, "reasons": []}
    report |= {"key_header": "", "key_value": ""}
    changed = {"before": {"display_name": NAME}, "after": {"display_name": NAME}}
    added = {"destinations": [address(each) for each in range(MOST_DESTINATIONS)]}
    entry = {"client_address": "2001:db8:1111:2222:3333:4444:5555:6666", "action": "alias.add"}
    rows = {
        Domain: [{"name": domain(each)} for each in every],
        Mailbox: [{**box, "domain_id": 1, "email": address(each), "deleted_at": None} for each in every]
        + [{**box, "domain_id": 1, "email": address(each), "deleted_at": utc_now()} for each in deleted],
        Alias: [
            {"domain_id": 1, "source": address(each, "a"), "destination": address(to)}
            for each in every
            for to in range(MOST_DESTINATIONS)
        ],
        AuditEntry: [
            {**entry, "actor": address(each), "subject": address(each), "detail": detail}
            for each in every
            for detail in (added, changed)
        ],
        HostNews: [{"name": name, "at": utc_now(), "document": host_report()} for name in ("state", "usage")],
        MailboxUsage: [{"mailbox_id": each + 1, "used_bytes": 2**40 + each} for each in every],
        MailCount: [
            {"period": period, "starts": day, "domain_id": 1, **dict.fromkeys(KINDS, 10**8 + day.day)}
            for period, days in periods(utc_now().date()).items()
            for day in days
        ],
        MailReport: [
            {**report, "report": f"{each}", "sender": address(each), "recipient": address(each, "r")}
            for each in every
        ],
        DomainReport: [
            {
                "domain_id": 1,
                "kind": "tls" if each % 2 else "dmarc",
                "reporter": domain(each),
                "digest": str(each),
                "day": utc_now().date(),
                "policy": "none",
            }
            for each in every
        ],
        DomainReportRow: [
            {
                "report_id": each + 1,
                "source": domain(each),
                "header_from": domain(each),
                "verdict": "certificate-not-trusted" if each % 2 else "other",
                "about": domain(each),
                "disposition": "",
                "count": 1,
            }
            for each in every
        ],
    }
    rule = {"kind": "allow", "note": "長" * 100, "created_by": address(1)}
    rows[SenderRule] = [
        {**rule, "scope": f"mailbox:{each}", "domain_id": 1, "mailbox_id": each, "pattern": address(each)}
        for each in range(1, ROWS)
    ]
    with database.transaction() as session:
        for model, values in rows.items():
            session.execute(insert(model), values)


@pytest.fixture
def full(browser: Browser, web_database: Database, monkeypatch: pytest.MonkeyPatch) -> Browser:
    monkeypatch.setattr(Usage, "of", lambda _, emails: dict.fromkeys(emails, 2**39 + 1))
    fill(web_database)
    return browser


def test_every_full_list_is_small(full: Browser) -> None:
    one = f"/aliases?source={address(1, 'a')}"
    paths = ("/", "/mailboxes", "/mailboxes/deleted", "/aliases", one, "/domains", "/audit", "/mail")
    paths += (f"/mailboxes?domain={domain(0)}&sort=-used", "/aliases?sort=-destinations", "/mailboxes/1")
    paths += ("/domains/1/reports", "/senders")
    for language in ("en", "ja"):
        pages = {path: full.get(path, **{"Accept-Language": language}) for path in paths}
        sizes = {path: len(page.data) for path, page in pages.items()}
        assert all(page.status_code == 200 for page in pages.values())
        assert max(sizes.values()) < MOST_BYTES, sizes


def test_an_alias_with_many_destinations_has_a_page_that_lists_all_of_them(full: Browser) -> None:
    listed, alone = full.get("/aliases").text, full.get(f"/aliases?source={address(1, 'a')}").text
    assert f"All {MOST_DESTINATIONS} destinations" in listed and address(99) not in listed
    assert alone.count("→ m") == MOST_DESTINATIONS and address(2, "a") not in alone
