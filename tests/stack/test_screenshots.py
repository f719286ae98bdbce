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

LANGUAGES = {"en": "en-US", "ja": "ja-JP"}
SUBJECTS = {"en": "Your first mail", "ja": "最初のメール"}
# Small enough for a repository, large enough to read.
SIZE, QUALITY, LARGEST = {"width": 1100, "height": 680}, 60, 90_000


def folder(language: str) -> Path:
    """Return where the pictures of a language go."""
    if os.environ.get("SCREENSHOTS"):
        return TEMPLATE / "{{cookiecutter.project_slug}}" / "_docs" / language / "docs" / "images"
    return ARTIFACTS / "guide" / language


@pytest.fixture(params=LANGUAGES)
def page(request, browser, stack) -> Iterator[Page]:
    context = browser.new_context(viewport=SIZE, locale=LANGUAGES[request.param])
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.language = request.param
    yield page
    context.close()


def take(page: Page, name: str) -> None:
    """Take a picture, and see that it is one of a modest size."""
    place = folder(page.language) / f"{name}.jpg"
    place.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=place, type="jpeg", quality=QUALITY, animations="disabled")
    assert 5_000 < place.stat().st_size < LARGEST


def test_the_pictures_of_the_guide(page, stack, mailboxes, scanned):
    page.goto(stack.info["admin_page"])
    page.locator("input[name=email]").fill(stack.info["admin"])
    page.locator("input[name=password]").fill(stack.info["admin_password"])
    page.keyboard.press("Enter")
    page.locator("a[href*=mailboxes]").first.wait_for(state="attached")
    take(page, "administration")

    reader, subject = mailboxes.new(), SUBJECTS[page.language]
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
