"""Reads TLS reports: JSON of RFC 8460."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from usermgmt.feedback import forms
from usermgmt.feedback.forms import ENCRYPTED, TLS, Report, Row, name, number

#: What can fail (RFC 8460, 4.3); anything else is OTHER_FAILURE.
FAILURES = (
    "starttls-not-supported",
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "tlsa-invalid",
    "dnssec-invalid",
    "dane-required",
    "sts-policy-fetch-error",
    "sts-policy-invalid",
    "sts-webpki-invalid",
)
OTHER_FAILURE = "other-failure"


def second(text: str) -> int:
    """A moment of RFC 3339, which is UTC where it does not say."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def count(rows: Counter[Row], policy: dict[str, Any]) -> None:
    """Add what one policy's sessions came to. A failure that no detail explains counts as well."""
    summary = policy.get("summary", {})
    failed = number(summary.get("total-failure-session-count", 0))
    rows["", "", ENCRYPTED, "", ""] += number(summary.get("total-successful-session-count", 0))
    for detail in policy.get("failure-details") or ():
        kind, sessions = str(detail.get("result-type")), number(detail.get("failed-session-count", 0))
        host = name(detail.get("receiving-mx-hostname"))
        rows[host, "", kind if kind in FAILURES else OTHER_FAILURE, "", ""] += sessions
        failed -= sessions
    rows["", "", OTHER_FAILURE, "", ""] += max(failed, 0)


def read(data: bytes) -> list[Report]:
    """A report for each domain in a JSON document. Raises Unreadable, and anything that a library does."""
    document = json.loads(data)
    begins, ends = (second(document["date-range"][f"{end}-datetime"]) for end in ("start", "end"))
    by_domain: dict[str, Counter[Row]] = {}
    for each in document["policies"]:
        count(by_domain.setdefault(name(each["policy"]["policy-domain"]), Counter()), each)
    report_id = str(document["report-id"])
    return [
        forms.report(TLS, domain, report_id, (begins, ends), "", +rows) for domain, rows in by_domain.items()
    ]
