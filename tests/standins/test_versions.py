"""The stand-ins are of the versions that the compose file pins, or of later ones of the same line."""

from __future__ import annotations

import pytest

from tests.standins.test_bases import in_image
from tools import standin_versions
from tools.standin_images import Table

# What the programs themselves say, where the package's number could be another one.
PRINTS_ITS_VERSION = {
    "clamav": "clamd --version",
    "dovecot": "dovecot --version",
    "mariadb": "mariadbd --version",
    "nginx": "nginx -v 2>&1",
    "roundcube": "grep RCMAIL_VERSION /usr/src/roundcubemail/program/include/iniset.php",
    "rspamd": "rspamd --version",
    "valkey": "valkey-server --version",
}


def numbers(version: str) -> tuple[int, ...]:
    """A version for comparison."""
    return tuple(map(int, version.split(".")))


@pytest.mark.parametrize(("name", "command"), PRINTS_ITS_VERSION.items(), ids=PRINTS_ITS_VERSION)
def test_the_version_that_is_told_is_the_programs_own(table: Table, name: str, command: str) -> None:
    assert standin_versions.built(table)[name] in in_image(table, name, command).stdout


@pytest.mark.parametrize("name", PRINTS_ITS_VERSION)
def test_a_stand_in_is_of_the_pinned_release_or_a_later_one_of_its_line(table: Table, name: str) -> None:
    [image] = [image for image in table.images.values() if image.name == name]
    built, pin = numbers(standin_versions.built(table)[name]), numbers(table.pins[name])
    if image.differs:
        assert built != pin, f"Debian has the pin now: remove `differs` of {name} from images.toml"
    else:
        assert built[:2] == pin[:2], f"Debian has left the line of {name}: move the pin, or say `differs`"
        assert built >= pin


def test_the_table_names_every_image_with_a_version(table: Table) -> None:
    assert PRINTS_ITS_VERSION.keys() == {image.name for image in table.images.values() if image.package}


def test_what_sid_has_given_up_is_looked_for_in_testing(table: Table) -> None:
    there = f"rspamd={standin_versions.built(table)['rspamd']}"
    script = f"/usr/lib/standin/prefer dovecot-core=2.4.0 {there}; cat /etc/apt/sources.list"
    script += " /etc/apt/preferences.d/*"
    said = in_image(table, "sid", script).stdout
    assert "sid does not have dovecot-core=2.4.0: looking in testing as well\n" in said
    assert " testing main\n" in said
    assert r"Package: src:dovecot" + "\n" + r"Pin: version /^([0-9]+:)?2\.4\.0([^0-9.]|$)/" in said
