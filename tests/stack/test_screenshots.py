"""The pictures of the guide "From nothing to your first mail", taken of the running stack.

`make screenshots` writes them into the documents, and into docs/labels.yml what can be read on the picture of
the administration, with which tests/apps compares the pages of today. Any other run leaves both with the
artifacts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from playwright.sync_api import Page

from tests.apps.pages import LABELS, labels
from tests.stack.clients import Edge, message
from tests.stack.conftest import TEMPLATE
from tests.stack.stack import ARTIFACTS, eventually


class Reader(NamedTuple):
    """A guide's language, its browser's, and what is written in the mails of its pictures."""

    language: str
    locale: str
    subject: str
    text: str


READERS = (
    Reader("en", "en-US", "Your first mail", "Hello, and welcome to a mailbox of your own.\n"),
    Reader("ja", "ja-JP", "最初のメール", "ようこそ、自分だけのメールボックスへ。\n"),
)
# Small enough for a repository, large enough to read.
SIZE, QUALITY, LARGEST = {"width": 1100, "height": 680}, 60, 90_000


def folder(language: str) -> Path:
    """Return where the pictures of a guide go."""
    if not os.environ.get("SCREENSHOTS"):
        return ARTIFACTS / "guide" / language
    return TEMPLATE / "{{cookiecutter.project_slug}}" / "_docs" / language / "docs" / "images"


def note(language: str, read: list[str]) -> None:
    """Write down what is on the picture, beside what is on the other languages' ones."""
    path = LABELS if os.environ.get("SCREENSHOTS") else ARTIFACTS / "guide" / LABELS.name
    known = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    text = yaml.safe_dump({**known, language: read}, allow_unicode=True, default_flow_style=None, width=100)
    path.write_text(
        f"# What the pictures of the administration show: make screenshots writes it.\n{text}", "utf-8"
    )


@pytest.fixture(params=READERS, ids=lambda reader: reader.language)
def reader_of(request) -> Reader:
    return request.param


@pytest.fixture
def page(browser, stack, reader_of: Reader) -> Iterator[Page]:
    context = browser.new_context(viewport=SIZE, locale=reader_of.locale)
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def test_the_pictures_of_the_guide(page, reader_of: Reader, stack, mailboxes, scanned):
    def take(page: Page, name: str) -> None:
        """Take a picture, and see that it is one of a modest size."""
        picture = page.screenshot(type="jpeg", quality=QUALITY, animations="disabled")
        assert 5_000 < len(picture) < LARGEST
        folder(reader_of.language).mkdir(parents=True, exist_ok=True)
        (folder(reader_of.language) / f"{name}.jpg").write_bytes(picture)

    stack.mailctl("monitor", "--local")
    page.goto(stack.info["admin_page"])
    page.locator("input[name=email]").fill(stack.info["admin"])
    page.locator("input[name=password]").fill(stack.info["admin_password"])
    page.keyboard.press("Enter")
    page.locator("a[href*=mailboxes]").first.wait_for(state="attached")
    take(page, "administration")
    note(reader_of.language, labels(page))

    reader, subject = mailboxes.new(), reader_of.subject
    mail = message(subject, to=reader.address, text=reader_of.text)
    assert Edge(stack.info).post(mail, reader.address).status_code == 200
    eventually(reader.all, limit=30)
    page.goto(stack.info["webmail"])
    page.locator("input[name=_user]").fill(reader.address)
    page.locator("input[name=_pass]").fill(reader.password)
    page.locator("#rcmloginsubmit").click()
    page.locator("#messagelist").get_by_text(subject).first.click()
    page.frame_locator("#messagecontframe").get_by_text(subject).first.wait_for()
    take(page, "inbox")

    # A request that is still under way would write over the new mail in the session.
    page.wait_for_load_state("networkidle")
    page.goto(f"{stack.info['webmail']}?_task=mail&_action=compose&_to=writer@sender.example")
    page.locator("input[name=_subject]").fill(f"Re: {subject}")
    page.locator("textarea[name=_message]").fill(reader_of.text)
    take(page, "compose")
