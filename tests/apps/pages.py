"""usermgmt on a port of this machine, and a browser beside it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright
from sqlalchemy import insert, text
from werkzeug.serving import make_server

from tests.stack.conftest import BROWSER_FLAGS, CHROMIUM

USERMGMT = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}" / "platform" / "usermgmt"
EDGE = """
zone: example.org
dns:
  - {type: TXT, name: example.org, content: "v=spf1 include:_spf.mx.cloudflare.net ~all"}
  - {type: TXT, name: _dmarc.example.org, content: "v=DMARC1; p=quarantine; rua=mailto:post@example.org"}
email_routing: {mx: [route1.mx.cloudflare.net, route2.mx.cloudflare.net]}
"""
#: What mailctl left of a look into public DNS, for the first domain.
LOOK = [
    {"type": "MX", "name": "example.org", "content": "route1.mx.cloudflare.net", "state": "ok", "found": []},
    {"type": "MX", "name": "example.org", "content": "route2.mx.cloudflare.net", "state": "ok", "found": []},
    {
        "type": "TXT",
        "name": "example.org",
        "content": "v=spf1 include:_spf.mx.cloudflare.net ~all",
        "state": "differs",
        "found": ["v=spf1 include:spf.elsewhere.example include:_spf.mx.cloudflare.net -all"],
    },
    {
        "type": "TXT",
        "name": "s1._domainkey.example.org",
        "content": f"v=DKIM1; k=rsa; p={'MIIBIjANBgkqhkiG9w0BAQEF' * 16}",
        "state": "missing",
        "found": [],
    },
]


def host_report() -> dict[str, Any]:
    """What the monitor left: all that it can say, good and bad."""
    now = time.time()
    wrong = {"id": "deferred", "title": "Mail is not delivered", "text": "3 mails wait", "fix": "make queue"}
    return {
        "incidents": [{**wrong, "severity": each, "since": now - 600} for each in ("critical", "warning")],
        "services": 11,
        "healthy": 10,
        "queue": {"waiting": 4, "deferred": 3, "held": 1, "oldest_at": now - 600},
        "jobs": [{"what": "backup", "at": now - 9000, "late": False, "failed": True}],
        "probe": {"at": now - 60, "ok": True, "seconds": 12.4},
        "certificate_days": 700,
        "disks": [{"name": "ssd", "percent": 88, "free_bytes": 5 * 1024**3}],
        "deliveries": [
            {"day": f"{date.today()}", "seconds": [90, 7, 2, 1, 1], "deferred": 3},
        ],
    }


#: What a reader of the guide's picture of the administration can read there, by language.
LABELS = Path(__file__).resolve().parents[2] / "docs" / "labels.yml"
EMAIL, PASSWORD = "admin@example.com", "correct-horse-9-battery"


@contextmanager
def usermgmt(folder: Path, account_host: str, admin_host: str, *, tls: bool) -> Iterator[int]:
    """The application with its schema and first admin on a free port, served as both hosts."""
    sys.path.insert(0, str(USERMGMT))
    from usermgmt.app import create_app
    from usermgmt.models import Base, DomainDns, HostNews, MailboxUsage, utc_now
    from usermgmt.parts import EXTENSION
    from usermgmt.settings import Settings

    (folder / "edge.yml").write_text(EDGE)
    kept: dict[str, Any] = {"cheap_hashes": True, "cookie_secure": tls, "edge_file": folder / "edge.yml"}
    kept["filter_host"] = "127.0.0.1"
    app = create_app(
        Settings(f"sqlite:///{folder}/db", "k" * 64, account_host, admin_host, EMAIL, PASSWORD, **kept)
    )
    engine = app.extensions[EXTENSION].database.engine
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0018')"))
        connection.execute(insert(DomainDns).values(domain_id=1, checked_at=utc_now(), records=LOOK))
        connection.execute(
            insert(HostNews),
            [
                {"name": name, "at": utc_now(), "document": document}
                for name, document in (("state", host_report()), ("usage", {}))
            ],
        )
        connection.execute(insert(MailboxUsage).values(mailbox_id=1, used_bytes=2**40))
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context="adhoc" if tls else None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        engine.dispose()
        sys.path.remove(str(USERMGMT))
        for name in [name for name in sys.modules if name.partition(".")[0] == "usermgmt"]:
            del sys.modules[name]


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """A browser that asks nobody else for anything."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*BROWSER_FLAGS, *flags])
        yield browser
        browser.close()


def authenticator(page: Page) -> tuple[CDPSession, str]:
    """A device that keeps passkeys and recognises its person, and the name by which it is told otherwise."""
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options = {**kind, "isUserVerified": True, "automaticPresenceSimulation": True}
    added = device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return device, added["authenticatorId"]


def labels(page: Page) -> list[str]:
    """The menu and what one sees of the headings of the first page, but for what is wrong on that day."""
    found = page.locator("header nav a, header button, main h1, main h2:not(#attention)")
    return [" ".join(text.split()) for text in found.all_text_contents()]
