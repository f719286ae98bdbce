"""Where a log-in leads that began at the webmail: back there, by our own page of authorization alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import session, url_for

from usermgmt.models import utc_now

#: What the cookie remembers: the query of that page, which the page itself checks again.
ASKED = "webmail"
LONGEST_QUERY = 1200
LASTS = timedelta(minutes=10)


def remember(query: str) -> None:
    """The webmail sent this browser here, and nobody is logged in."""
    session[ASKED] = [query[:LONGEST_QUERY], utc_now().isoformat()]


def forget() -> None:
    """Whoever opens another page wants that."""
    session.pop(ASKED, None)


def asked() -> str:
    """The page that this log-in leads back to the webmail by; empty if it did not come from there lately."""
    query, since = session.get(ASKED) or ("", "")
    if not query or utc_now() - datetime.fromisoformat(since) > LASTS:
        return ""
    return f"{url_for('oidc.authorize')}?{query}"
