"""What programs write, as people read it: details of the audit log, and what a browser calls itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask

from usermgmt.models import AuditEntry
from usermgmt.quota import format_quota
from usermgmt.web.i18n import translate

#: Fields in the details of the audit log, and columns whose change is there.
FIELDS = {
    "active": "Enabled",
    "default_quota_bytes": "Default quota",
    "destination": "Destination",
    "display_name": "Name",
    "domain": "Domain",
    "largest_quota_bytes": "Largest quota",
    "may_send": "May send",
    "most_aliases": "Alias limit",
    "most_mailboxes": "Mailbox limit",
    "name": "Name",
    "quota_bytes": "Quota",
    "scopes": "May do",
    "storage_bytes": "Storage",
    "sender": "Sender",
}
DOMAINS = "Domains"
NOTHING = "\N{EN DASH}"
# The first that fits: most browsers also claim to be others.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
LONGEST_AGENT = 60


def browser(agent: str) -> str:
    """`Firefox on Linux`; the beginning of what it says of itself if that is unknown."""
    name, system = (
        next((word for mark, word in table if mark in agent), "") for table in (BROWSERS, SYSTEMS)
    )
    text = "{browser} on {system}"
    if name and system:
        return translate(text, browser=name, system=system)
    return name or agent[:LONGEST_AGENT] or NOTHING


def value(field: str, stored: Any) -> str:
    """A stored value; a dash for nothing."""
    if isinstance(stored, bool):
        text = "Yes" if stored else "No"
        return translate(text)
    if isinstance(stored, list):
        text = "Everything (owner)"
        return ", ".join(map(str, stored)) or translate(text)
    if field.endswith("_bytes") and isinstance(stored, int):
        return format_quota(stored)
    return NOTHING if stored is None or stored == "" else str(stored)


def label(field: str) -> str:
    """The name of a field; one that has none as it is stored."""
    return translate(FIELDS.get(field, field))


def details(entry: AuditEntry) -> Iterator[tuple[str, str]]:
    """What an entry says besides its subject: names and values, `before → after` of what was changed."""
    before, after = entry.detail.get("before"), entry.detail.get("after")
    for field, stored in entry.detail.items():
        if field not in ("before", "after"):
            yield label(field), value(field, stored)
    if isinstance(before, dict) and isinstance(after, dict):
        for field in after:
            change = f"{value(field, before.get(field))} → {value(field, after[field])}"
            yield label(field), change
    elif after is not None:
        yield translate(DOMAINS), f"{value('', before)} → {value('', after)}"


def init_app(app: Flask) -> None:
    """Make the filters known to templates."""
    app.jinja_env.filters.update(browser=browser, details=details)
