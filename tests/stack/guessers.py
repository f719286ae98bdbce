"""Six attackers guess one password from many addresses, by IMAP, submission, ManageSieve and the log-in page.

Each is a container in the mail network, with an address of its own. On the pages each comes from one network
after another, as Cloudflare would name them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING

from tests.stack.clients import PASSWORD, Mailbox, Webmail
from tests.stack.stack import Stack, run
from tests.stack.test_usermgmt_account import opens, taken

if TYPE_CHECKING:
    from tests.stack.test_monitor import Watch

ATTACKERS = [f"attacker{number}" for number in range(6)]
WAYS = ("imap", "submission", "sieve")
#: Where they come from on the pages, four networks each.
ON_PAGES = [f"198.18.{number}.7" for number in range(4 * len(ATTACKERS))]
AN_HOUR_AGO = "UPDATE login_attempts SET at = at - INTERVAL 61 MINUTE WHERE account = @who"


@contextmanager
def attackers(stack: Stack) -> Iterator[None]:
    """Their containers, each with Python."""
    image, names = stack.inspect("mailserver-api")["Image"], list(map(stack.container, ATTACKERS))
    trusted = f"--volume={stack.info['ca_file']}:/run/secrets/internal_ca_crt:ro"
    # The image's own label would make it one of the project's containers.
    options = (f"--network={stack.project}_mail", trusted, "--label=com.docker.compose.project=")
    try:
        for name in names:
            words = (
                "--detach",
                f"--name={name}",
                *options,
                "--user=0",
                "--entrypoint=sleep",
                image,
                "infinity",
            )
            run("docker", "run", *words, cwd=stack.repository)
        yield
    finally:
        subprocess.run(["docker", "rm", "--force", *names], capture_output=True, timeout=300, check=False)


def guess_by_mail(stack: Stack, who: str) -> None:
    """Each attacker guesses twice by each protocol, all at the same time; then one has the right password."""

    def guess(attacker: str, way: str) -> list[str]:
        return taken(stack, who, f"{attacker} {way}", f"{way} {attacker}", service=attacker, ways=(way,))

    with ThreadPoolExecutor(len(ATTACKERS) * len(WAYS)) as pool:
        assert not any(pool.map(guess, *zip(*product(ATTACKERS, WAYS), strict=True)))
    assert taken(stack, who, PASSWORD, service=ATTACKERS[0], ways=WAYS) == [], "the right one is held as well"


def guess_on_page(stack: Stack, who: str, address: str, password: str) -> int:
    """Log in to the webmail from there; the status of the answer."""
    return Webmail(stack.info, address).log_in(who, password).status_code


@contextmanager
def guessed(watch: Watch) -> Iterator[None]:
    """The attack: who guesses is held and everybody else gets in; an hour later it is over."""
    stack, person, neighbour = watch.stack, watch.mailboxes.new(), watch.mailboxes.new()
    who, browser, held = person.address, Webmail(watch.stack.info, "203.0.113.150"), ON_PAGES[0]
    assert browser.log_in(who, PASSWORD).status_code == 302 and person.imap.noop()[0] == "OK"
    with attackers(stack):
        guess_by_mail(stack, who)
    assert {guess_on_page(stack, who, address, "a guess") for address in ON_PAGES} == {401}
    assert [guess_on_page(stack, who, held, f"a guess {n}") for n in range(5)][-1] == 429

    again = Webmail(stack.info, held)
    again.account.cookies.set("device", browser.account.cookies["device"])
    assert again.log_in(who, PASSWORD).status_code == 302, "her browser, from where somebody is held"
    assert guess_on_page(stack, who, "203.0.113.151", PASSWORD) == 302, "her new browser, elsewhere"
    assert opens(Mailbox(who, stack.info)), "her mail program"
    assert guess_on_page(stack, neighbour.address, held, PASSWORD) == 302, "who shares that address"
    watch.given["tells"] = True
    try:
        yield
        stack.sql(AN_HOUR_AGO, who=who)
        watch.look(300)
    finally:
        del watch.given["tells"]
