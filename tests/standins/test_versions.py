"""The stand-ins are of the releases that the compose file pins, where Debian has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.standins.test_bases import in_image
from tools.standin_images import Table

COMPOSE = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}" / "docker-compose.yml"
# Not here, because Debian has only an older release: clamav (1.4), roundcube (1.6).
PRINTS_ITS_VERSION = {
    "dovecot": "dovecot --version",
    "mariadb": "mariadbd --version",
    "nginx": "nginx -v 2>&1",
    "rspamd": "rspamd --version",
    "valkey": "valkey-server --version",
}


def numbers(text: str) -> tuple[int, ...]:
    """The first release number of three parts in a text."""
    found = re.search(r"\b(\d+)\.(\d+)\.(\d+)", text)
    assert found, f"no release number in {text!r}"
    return tuple(map(int, found.groups()))


@pytest.mark.parametrize(("name", "command"), PRINTS_ITS_VERSION.items(), ids=PRINTS_ITS_VERSION)
def test_a_stand_in_is_of_the_pinned_release_or_a_later_one_of_its_line(
    table: Table, name: str, command: str
) -> None:
    [pin] = re.findall(rf"image: (?:\w+/)?{name}:(\S+?)@", COMPOSE.read_text())
    built, pinned = numbers(in_image(table, name, command).stdout), numbers(pin)
    assert built[:2] == pinned[:2]
    assert built >= pinned
