"""Six attackers guess one password from many addresses, by IMAP, submission, ManageSieve and the log-in page.

In the mail network each has an address of its own, in a container that has all six (guess.py). On the pages
each comes from one network after another, as Cloudflare would name them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from tests.stack.clients import PASSWORD, Mailbox, Webmail
from tests.stack.stack import Stack, run
from tests.stack.test_usermgmt_account import opens

if TYPE_CHECKING:
    from tests.stack.test_monitor import Watch

ATTACKERS, NETWORKS_EACH = 6, 4
#: Where the attackers come from on the pages.
ON_PAGES = [f"198.18.{number}.7" for number in range(ATTACKERS * NETWORKS_EACH)]
PROGRAM = Path(__file__).with_name("guess.py")
AN_HOUR_AGO = "UPDATE login_attempts SET at = at - INTERVAL 61 MINUTE WHERE account = @who"


def guess_by_mail(stack: Stack, who: str, attackers: int = ATTACKERS, **given: object) -> str:
    """Guess by every protocol from an address of each attacker; who was let in."""
    name = f"{stack.project}_mail"
    found = json.loads(run("docker", "network", "inspect", name, cwd=stack.repository))
    network = ip_network(found[0]["IPAM"]["Config"][0]["Subnet"])
    # Far apart, and far from those of the containers, which begin at the start.
    step = network.num_addresses // (ATTACKERS + 2)
    addresses = [str(network[(number + 1) * step + 3]) for number in range(attackers)]
    rights = (f"--network={name}", "--cap-add=NET_ADMIN", "--user=0", "--entrypoint=python3")
    files = (f"--volume={stack.info['ca_file']}:/ca.crt:ro", f"--volume={PROGRAM}:/guess.py:ro")
    # The image's own label would make it one of the project's containers.
    options = (*rights, *files, "--label=com.docker.compose.project=")
    words = json.dumps({"who": who, "addresses": addresses, **given})
    image = stack.inspect("mailserver-api")["Image"]
    return run(
        "docker", "run", "--rm", *options, image, "/guess.py", words, cwd=stack.repository, limit=120
    ).strip()


def guess_on_page(stack: Stack, who: str, address: str, password: str) -> int:
    """Guess at the log-in to the webmail; the status of the answer."""
    return Webmail(stack.info, address).log_in(who, password).status_code


@contextmanager
def guessed(watch: Watch) -> Iterator[None]:
    """The attack: who guesses is held and everybody else gets in; an hour later it is over."""
    stack, person, neighbour = watch.stack, watch.mailboxes.new(), watch.mailboxes.new()
    who, browser, held = person.address, Webmail(watch.stack.info, "203.0.113.150"), ON_PAGES[0]
    assert browser.log_in(who, PASSWORD).status_code == 302 and person.imap.noop()[0] == "OK"
    watch.given["tells"] = True
    try:
        assert guess_by_mail(stack, who, guesses=2) == ""
        assert {guess_on_page(stack, who, address, "a guess") for address in ON_PAGES} == {401}
        assert guess_by_mail(stack, who, attackers=1, password=PASSWORD) == "", "the right one is held too"
        assert [guess_on_page(stack, who, held, f"a guess {n}") for n in range(5)][-1] == 429

        again = Webmail(stack.info, held)
        again.account.cookies.set("device", browser.account.cookies["device"])
        assert again.log_in(who, PASSWORD).status_code == 302, "her browser, from where somebody is held"
        assert guess_on_page(stack, who, "203.0.113.151", PASSWORD) == 302, "her new browser, elsewhere"
        assert opens(Mailbox(who, stack.info)), "her mail program"
        assert guess_on_page(stack, neighbour.address, held, PASSWORD) == 302, "who shares that address"
        yield
        stack.sql(AN_HOUR_AGO, who=who)
        watch.look(300)
    finally:
        del watch.given["tells"]
