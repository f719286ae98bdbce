"""The administration's session cookie in a real browser over TLS, which alone gives its name a meaning."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect, sync_playwright
from sqlalchemy import text
from werkzeug.serving import make_server

from tests.stack.conftest import BROWSER_FLAGS

USERMGMT = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}" / "usermgmt"
ADMIN, WEBMAIL = "admin.example.com", "mail.example.com"
EMAIL, PASSWORD = "admin@example.com", "correct-horse-9-battery"


@pytest.fixture
def port(tmp_path, monkeypatch) -> Iterator[int]:
    """usermgmt as it runs behind TLS, on a port of this machine that the browser takes for its host."""
    monkeypatch.syspath_prepend(str(USERMGMT))
    from usermgmt.app import create_app
    from usermgmt.models import Base
    from usermgmt.settings import Settings
    from usermgmt.web.context import EXTENSION

    settings = Settings(f"sqlite:///{tmp_path}/db", "k" * 64, ADMIN, EMAIL, PASSWORD, bcrypt_rounds=4)
    app = create_app(settings)
    engine = app.extensions[EXTENSION].database.engine
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context="adhoc")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    engine.dispose()
    for name in [name for name in sys.modules if name.partition(".")[0] == "usermgmt"]:
        del sys.modules[name]


@pytest.fixture
def context(port) -> Iterator[BrowserContext]:
    hosts = f"--host-resolver-rules=MAP *.example.com 127.0.0.1:{port}"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*BROWSER_FLAGS, hosts]
        )
        yield chromium.new_context(ignore_https_errors=True, locale="en-US")
        chromium.close()


def test_no_other_host_of_the_domain_can_plant_a_session(context):
    page = context.new_page()
    page.route(f"https://{WEBMAIL}/", lambda route: route.fulfill(body="a page of the webmail"))
    page.goto(f"https://{WEBMAIL}/")
    for name in ("__Host-usermgmt", "plain"):
        page.evaluate(f"document.cookie = '{name}=planted; Domain=example.com; Path=/; Secure'")
    page.goto(f"https://{ADMIN}/login")
    page.get_by_label("Address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Mailboxes").first).to_be_attached()
    cookies = {each["name"]: each for each in context.cookies(f"https://{ADMIN}/")}
    assert set(cookies) == {"__Host-usermgmt", "plain"}, "the browser let the webmail plant a cookie"
    mine = cookies["__Host-usermgmt"]
    assert (mine["domain"], mine["path"]) == (ADMIN, "/") and mine["value"] != "planted"
    assert mine["secure"] and mine["httpOnly"] and mine["sameSite"] == "Lax"
