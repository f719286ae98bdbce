"""The table of stand-ins, their tags and their builds, without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.fake_docker import DIGEST, Fake
from tools import standins
from tools.standin_images import BASES, StandinError, Table
from tools.standin_override import override_for, services


def tags(folder: Path) -> dict[str, str]:
    """The built tag of every stand-in, by name."""
    table = Table(folder / "images.toml")
    return {image.name: table.built_tag(image) for image in table.images.values()}


def test_every_image_of_the_template_has_a_stand_in_or_is_left_alone() -> None:
    files = ("docker-compose.yml", "compose.local.yml")
    found = services(standins.TEMPLATE, files)
    assert {"mariadb", "postfix", "nginx", "mailpit"} <= {service.name for service in found}
    overridden = override_for(found, Table())["services"]
    assert {service.name for service in found} - overridden.keys() == {"cloudflared"}


def test_an_unknown_image_is_refused_with_the_place_to_add_it() -> None:
    with pytest.raises(
        StandinError, match=r"no stand-in honours mariadb:10\.11\.7: add it to .*images\.toml"
    ):
        Table().find(f"mariadb:10.11.7{DIGEST}")


def test_a_tag_stays_while_nothing_changes(folder: Path) -> None:
    assert tags(folder) == tags(folder)


def test_no_two_stand_ins_have_the_same_tag(folder: Path) -> None:
    assert len(set(tags(folder).values())) == len(tags(folder))


def test_a_changed_file_changes_its_own_tag_and_no_other(folder: Path) -> None:
    before = tags(folder)
    (folder / "nginx" / "nginx.conf").write_text("# changed\n")
    after = tags(folder)
    assert {name for name in before if before[name] != after[name]} == {"nginx"}


def test_a_changed_mode_changes_the_tag(folder: Path) -> None:
    before = tags(folder)
    (folder / "valkey" / "docker-entrypoint.sh").chmod(0o755)
    assert before["valkey"] != tags(folder)["valkey"]


def test_a_changed_parent_changes_its_children(folder: Path) -> None:
    before = tags(folder)
    with (folder / "python" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("LABEL changed=yes\n")
    after = tags(folder)
    assert {name for name in before if before[name] != after[name]} == {"python", "mailpit"}


def test_other_certificates_of_the_machine_change_every_tag(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tags(folder)
    (tmp_path / "bundle").write_text("another")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle"))
    after = tags(folder)
    assert not [name for name in before if before[name] == after[name]]


def test_a_parent_that_the_table_does_not_have_is_refused(folder: Path) -> None:
    (folder / "nginx" / "Dockerfile").write_text("FROM standin/alpine:3\n")
    with pytest.raises(StandinError, match="there is no stand-in standin/alpine:3"):
        Table(folder / "images.toml")


def test_only_what_is_missing_is_built_parents_first(docker: Fake) -> None:
    table = Table()
    missing = {"python", "mailpit"}
    docker.has(*(table.built_tag(image) for image in table.images.values() if image.name not in missing))
    states: list[tuple[str, str]] = []
    built = standins.build(lambda name, state: states.append((name, state)), table=table)
    assert built == ["mailpit", "python"]
    assert [state for state in states if state[1] != "there"] == [
        *[("python", "building"), ("python", "built"), ("mailpit", "building"), ("mailpit", "built")]
    ]
    python = next(image for image in table.images.values() if image.name == "python")
    last = docker.calls("buildx")[-1]
    assert f"--build-context standin/python:3.13=docker-image://{table.built_tag(python)}" in last


def test_nothing_is_built_when_all_are_there(docker: Fake) -> None:
    table = Table()
    docker.has(*(table.built_tag(image) for image in table.images.values()))
    assert standins.build(lambda *_: None, table=table) == []
    assert docker.calls("buildx") == []


def test_a_failed_build_shows_the_end_of_its_log_and_its_children_are_not_tried(docker: Fake) -> None:
    table = Table()
    docker.has(*(table.built_tag(table.images[tag]) for tag in (*BASES, "standin/sid:latest")))
    (docker.folder / "broken").write_text("standin/python:")
    with pytest.raises(StandinError, match=r"(?s)building the stand-in python failed.*E: not found"):
        standins.build(lambda *_: None, table=table)
    assert not [call for call in docker.calls("buildx") if call.endswith("/mailpit")]
