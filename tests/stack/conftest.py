"""Three stacks, each started once by the generated repository's own `make local`, and what reaches them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.stack import breaker as breaking
from tests.stack import worker as working
from tests.stack.breaker import Breaker
from tests.stack.clients import Accounts, Mailboxes
from tests.stack.scenes import Scene
from tests.stack.stack import ARTIFACTS, Stack, clear, speaker
from tests.stack.worker import Worker, install
from tools import engine, standins

TEMPLATE = Path(__file__).resolve().parents[2]
# Two test runs on one machine must not share ports or project names: the second sets both.
FIRST_PORT = int(os.environ.get("STACK_FIRST_PORT", "21000"))
PREFIX = os.environ.get("STACK_PREFIX", "stack")
CHROMIUM = Path(__file__).with_name("chromium.py")
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
# A busy machine takes longer for a page than the five seconds that playwright waits.
expect.set_options(timeout=60_000)
COMPOSE_FILES = ("docker-compose.yml", "compose.local.yml")
DEFAULT, WITHOUT, DESTROYED = "default answers", "antivirus off", "default answers, destroyed"
FLAVOURS = {
    DEFAULT: {"project_slug": f"{PREFIX}-default"},
    WITHOUT: {
        "project_slug": f"{PREFIX}-no-antivirus",
        "antivirus": False,
        "relay": "ses",
        "client_access": "lan",
        "groupware": True,
    },
    DESTROYED: {
        "project_slug": f"{PREFIX}-destroyed",
        "groupware": True,
        "relay": "smtp",
        "forward_by_relay": True,
    },
}
# These destroy the data of a whole stack and bring it back, so they have one of their own.
DESTRUCTIVE = {"test_drill", "test_restore", "test_whole_mailbox"}
# This needs an option as well, and destroys nothing.
BY_RELAY = {"test_relay_forwards"}
# These need what is an option, and that flavour has it.
WITH_CALENDARS = {"test_calendars"}
# The flavours differ in the scanner and what names it (Compose file, rspamd's start, rules and verdicts), in
# the relay, by which rspamd knows what to sign, and in whether mail programs may come.
# These files and tests would show a mistake there; all others look at parts that are the same file for file.
WITHOUT_SCANNER = {
    "test_boot",
    "test_gate",
    "test_mail_programs",
    "test_a_mail_reaches_the_mailbox_just_made_in_usermgmt",
    "test_an_archive_with_a_password_goes_to_junk",
    "test_plain_spam_is_refused",
    "test_suspicious_mail_goes_to_junk",
    "test_ready_says_whether_mail_can_be_delivered",
    "test_while_a_part_is_away_the_sender_is_asked_to_try_again",
    "test_a_submitted_mail_reaches_the_relay_signed_for_its_domain",
    "test_the_signature_survives_what_the_relay_rewrites",
    "test_what_our_relay_rewrites_verifies_and_one_that_is_deferred_is_seen_to_be_tried_again",
    "test_a_reader_logs_in_to_webmail_and_sees_the_mail",
}


@pytest.fixture(scope="session")
def images(request, record_testsuite_property) -> standins.Choice:
    """Upstream images where a registry answers, stand-ins where none does (it says which); an engine."""
    engine.ensure()
    choice = standins.choose(files=COMPOSE_FILES)
    lines = [choice.line]
    if choice.standins:
        with standins.shown_progress() as progress:
            standins.build(progress)
        lines += standins.notes()
    for number, line in enumerate(lines):
        speaker(request.config)(line)
        record_testsuite_property(f"images {number}", line)
    return choice


@pytest.fixture(scope="session", params=FLAVOURS)
def stack(request, images, tmp_path_factory) -> Iterator[Stack]:
    """A running stack of each flavour; it ends, with its volumes, after the last test."""
    answers = FLAVOURS[request.param]
    folder = tmp_path_factory.mktemp(answers["project_slug"])
    repository = Path(
        cookiecutter(str(TEMPLATE), no_input=True, extra_context=answers, output_dir=str(folder))
    )
    overrides = (standins.override(repository, COMPOSE_FILES),) if images.standins else ()
    number = list(FLAVOURS).index(request.param)
    running = Stack(repository, f"{answers['project_slug']}-local", overrides, FIRST_PORT + 100 * number)
    clear(running.project)
    try:
        running.up()
        yield running
    finally:
        running.keep("last")
        running.down()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what shows the same in another flavour, and the virus scanner's tests where there is none."""
    left_out = {item for item in items if not is_for_its_flavour(item)}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def is_for_its_flavour(item: pytest.Item) -> bool:
    """Whether a test is run on the flavour that it is about to get; the default one gets most of them."""
    parameters = getattr(item, "callspec", None)
    flavour = parameters.params.get("stack") if parameters else None
    if flavour is None:
        return True
    if flavour == DESTROYED or item.path.stem in DESTRUCTIVE | BY_RELAY:
        return flavour == DESTROYED and item.path.stem in DESTRUCTIVE | BY_RELAY
    if item.path.stem in WITH_CALENDARS:
        return flavour == WITHOUT
    name = item.originalname if isinstance(item, pytest.Function) else item.name
    listed = item.path.stem in WITHOUT_SCANNER or name in WITHOUT_SCANNER
    return flavour == DEFAULT or (listed and "scanned" not in item.fixturenames)


@pytest.fixture
def scanned(stack) -> Stack:
    """The stack, for a test that needs its virus scanner; other flavours are left out above."""
    assert "clamav" in stack.services()
    return stack


@pytest.fixture(scope="session")
def accounts(stack) -> Accounts:
    """usermgmt, used by its web pages as an administrator does."""
    return Accounts(stack.info)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser, the one of Debian."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(request, browser) -> Iterator[Page]:
    """A page of the browser in both sizes; how it looked in the end is kept."""
    context = browser.new_context(viewport=request.param, locale="en-US")
    context.set_default_timeout(60_000)
    page = context.new_page()
    yield page
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    ARTIFACTS.joinpath("screenshots").mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / "screenshots" / f"{name}.png")
    context.close()


@pytest.fixture
def mailboxes(stack, accounts) -> Mailboxes:
    """Makes mailboxes in usermgmt and opens them over IMAP."""
    return Mailboxes(stack.info, accounts)


@pytest.fixture(scope="session")
def workerd(tmp_path_factory) -> Path:
    """The program that runs Workers, installed once."""
    return install(tmp_path_factory.mktemp("workerd"))


@pytest.fixture(scope="session")
def worker(stack, workerd, tmp_path_factory) -> Iterator[Worker]:
    """The repository's Email Worker in workerd, connected to the stack's mailserver-api."""
    yield from working.running(stack, workerd, tmp_path_factory.mktemp("worker"))


@pytest.fixture(scope="session")
def breaker(stack) -> Iterator[Breaker]:
    """Breaks parts of the stack: crashes, full disks, cut networks, hanging services."""
    yield from breaking.running(stack)


@pytest.fixture
def scene(stack, worker, breaker, accounts, mailboxes) -> Scene:
    """All that a test of the inbound path needs, with a new reader."""
    return Scene(stack, worker, breaker, accounts, mailboxes, mailboxes.new())
