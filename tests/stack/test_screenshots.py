"""The pictures of the guide "From nothing to your first mail", taken of the running stack.

`make screenshots` writes them into the documents; any other run leaves them with the artifacts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.stack.clients import Edge, message
from tests.stack.conftest import TEMPLATE
from tests.stack.stack import ARTIFACTS

# Both guides show the English pages: pictures of Japanese ones need fonts that a bare machine lacks.
LANGUAGES, SUBJECT = ("en", "ja"), "Your first mail"
# Small enough for a repository, large enough to read.
SIZE, QUALITY, LARGEST = {"width": 1100, "height": 680}, 60, 90_000


def folders() -> list[Path]:
    """Return where a picture goes."""
    if not os.environ.get("SCREENSHOTS"):
        return [ARTIFACTS / "guide"]
    documents = TEMPLATE / "{{cookiecutter.project_slug}}" / "_docs"
    return [documents / language / "docs" / "images" for language in LANGUAGES]


@pytest.fixture
def page(browser, stack) -> Iterator[Page]:
    context = browser.new_context(viewport=SIZE, locale="en-US")
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def take(page: Page, name: str) -> None:
    """Take a picture, and see that it is one of a modest size."""
    picture = page.screenshot(type="jpeg", quality=QUALITY, animations="disabled")
    assert 5_000 < len(picture) < LARGEST
    for folder in folders():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jpg").write_bytes(picture)


def test_the_pictures_of_the_guide(page, stack, mailboxes, scanned):
    page.goto(stack.info["admin_page"])
    page.locator("input[name=email]").fill(stack.info["admin"])
    page.locator("input[name=password]").fill(stack.info["admin_password"])
    page.keyboard.press("Enter")
    page.locator("a[href*=mailboxes]").first.wait_for(state="attached")
    take(page, "administration")

    reader, subject = mailboxes.new(), SUBJECT
    assert Edge(stack.info).post(message(subject, to=reader.address), reader.address).status_code == 200
    reader.read(subject)
    page.goto(stack.info["webmail"])
    page.locator("input[name=_user]").fill(reader.address)
    page.locator("input[name=_pass]").fill(reader.password)
    page.locator("#rcmloginsubmit").click()
    page.locator("#messagelist").get_by_text(subject).first.click()
    page.frame_locator("#messagecontframe").get_by_text(subject).first.wait_for()
    take(page, "inbox")

    page.goto(f"{stack.info['webmail']}?_task=mail&_action=compose&_to=writer@sender.example")
    page.locator("input[name=_subject]").fill(f"Re: {subject}")
    page.locator("textarea[name=_message]").fill("Hello, world!\n")
    take(page, "compose")
