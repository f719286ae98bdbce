"""What is said of stand-ins whose version is not the pinned one, without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.fake_docker import Fake
from tools import engine, standin_images, standin_versions, standins
from tools.standin_images import StandinError, Table

STATUS = "Package: base-files\nVersion: 9.9\n\nPackage: {}\nStatus: installed\nVersion: {}\nDescription: x\n"
# Debian's versions of the pins of today's Compose file.
EXACT = {
    **{"mariadb": "1:{}+ds-4", "dovecot": "1:{}+dfsg1-4", "rspamd": "{}-1", "valkey": "{}-1+b1"},
    **{"clamav": "{}+dfsg-1", "roundcube": "{}+dfsg-1", "nginx": "{}-2"},
}


def have(docker: Fake, **others: str) -> Table:
    """Let the engine have every stand-in in its pinned version, some of them in another one."""
    table = Table()
    packages = {image.name: image.package for image in table.images.values() if image.package}
    for name, form in EXACT.items():
        version = others.get(name) or form.format(table.pins[name])
        docker.installed(name, STATUS.format(packages[name], version))
    return table


def test_nothing_is_said_when_all_are_of_the_pinned_version(docker: Fake) -> None:
    assert standins.notes(have(docker)) == []


def test_a_version_that_debian_has_gone_on_from_is_told_with_both_numbers(docker: Fake) -> None:
    pin = Table().pins["dovecot"]
    assert standins.notes(have(docker, dovecot="1:2.4.99+dfsg1-1")) == [
        f"Stand-in dovecot 2.4.99 instead of the pin {pin}: Debian has gone on since it was pinned."
    ]


def test_an_expected_difference_is_told_with_its_reason(docker: Fake) -> None:
    [line] = standins.notes(have(docker, clamav="1.4.6+dfsg-1"))
    assert line.startswith("Stand-in clamav 1.4.6 instead of the pin 1.5.")
    assert line.endswith(": Debian has no 1.5.")


def test_a_longer_number_is_not_taken_for_the_pin(docker: Fake) -> None:
    table = have(docker, rspamd=Table().pins["rspamd"] + "0-1")
    assert len(standins.notes(table)) == 1


def test_what_was_read_once_is_not_asked_for_again(docker: Fake) -> None:
    table = have(docker)
    first = standin_versions.built(table)
    asked = len(docker.calls("cp"))
    assert standin_versions.built(table) == first
    assert len(docker.calls("cp")) == asked == len(EXACT)


def test_an_image_whose_version_cannot_be_read_is_an_error_not_a_silence(docker: Fake) -> None:
    table = have(docker)
    (docker.folder / "valkey" / "status").unlink()
    with pytest.raises(engine.EngineError, match=r"the version of standin/valkey:.* cannot be read"):
        standins.notes(table)


def test_debian_is_asked_for_the_pins_but_not_for_those_that_it_is_known_not_to_have() -> None:
    table = Table()
    known = {image.name for image in table.images.values() if image.differs}
    wanted = dict(pin.split("=") for pin in table.wanted.split())
    assert wanted["dovecot-core"] == table.pins["dovecot"]
    assert wanted.keys() == {
        image.package for image in table.images.values() if image.package and image.name not in known
    }


def test_a_moved_pin_makes_new_images_of_all_that_come_from_sid(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tags() -> dict[str, str]:
        table = Table(folder / "images.toml")
        return {image.name: table.built_tag(image) for image in table.images.values()}

    before = tags()
    pin = f"valkey:{Table().pins['valkey']}"
    (tmp_path / "compose.yml").write_text(standin_images.COMPOSE.read_text().replace(pin, f"{pin}9"))
    monkeypatch.setattr(standin_images, "COMPOSE", tmp_path / "compose.yml")
    after = tags()
    changed = {name for name in before if before[name] != after[name]}
    assert "sid" in changed
    assert not changed & {"base-sid", "base-trixie", "debian", "python", "mailpit"}


def test_a_package_without_a_pin_in_the_compose_file_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = folder / "images.toml"
    table.write_text(table.read_text().replace('"valkey/valkey:9', '"redis:9'))
    with pytest.raises(StandinError, match="valkey has a package, but no pin"):
        _ = Table(table).pins
