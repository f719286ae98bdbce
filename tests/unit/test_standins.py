"""Choosing, tagging, building and overriding, without an engine: docker is a small fake here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools import engine, standin_images, standins
from tools.standin_images import StandinError, Table, plain_reference
from tools.standin_override import Service, base_images, override_for, services, substitute

DIGEST = "@sha256:" + "0123456789abcdef" * 4
# Notes its calls; knows the images listed in the file `here`; pulls as the file `pull` says.
DOCKER = """#!/bin/bash
echo "$*" >>STATE/calls
case "$1" in
  image) grep -qxF -- "$3" STATE/here ;;
  images) cat STATE/here ;;
  tag) exit 0 ;;
  pull) . STATE/pull ;;
  buildx)
    [ ! -e STATE/broken ] || [[ "$*" != *"$(cat STATE/broken)"* ]] || { echo "E: not found"; exit 1; } ;;
esac
"""


class Fake:
    """The fake docker's state."""

    def __init__(self, folder: Path) -> None:
        """Set it up without images, and with a registry that cannot be found."""
        self.folder = folder
        (folder / "here").write_text("")
        self.pull_does('echo "Error: lookup registry: no such host" >&2; exit 1')
        (folder / "docker").write_text(DOCKER.replace("STATE", str(folder)))
        (folder / "docker").chmod(0o755)

    def has(self, *references: str) -> None:
        """Let the engine have these images."""
        (self.folder / "here").write_text("\n".join(references) + "\n")

    def pull_does(self, script: str) -> None:
        """Let `docker pull` do this."""
        (self.folder / "pull").write_text(script + "\n")

    def calls(self, command: str) -> list[str]:
        """The calls of one docker command."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(command + " ")]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A fake docker on PATH, and a cache of our own."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("STANDINS", raising=False)
    return Fake(folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A compose project with an image, a build, and a tunnel that is left alone."""
    folder = tmp_path / "project"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "Dockerfile").write_text(
        f"FROM python:3.13.16-slim-trixie{DIGEST} AS build\nFROM build\n"
    )
    (folder / "docker-compose.yml").write_text(
        f"services:\n  db:\n    image: mariadb:11.8.9{DIGEST}\n  app:\n    build: ./app\n"
        f"  tunnel:\n    image: cloudflare/cloudflared:2026.10.0{DIGEST}\n"
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the stand-ins' folder that a test may change."""
    copy = tmp_path / "standins"
    shutil.copytree(standin_images.FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(standin_images, "FOLDER", copy)
    return copy


def tags(folder: Path) -> dict[str, str]:
    """The built tag of every stand-in, by name."""
    table = Table(folder / "images.toml")
    return {image.name: table.built_tag(image) for image in table.images.values()}


# --- references and Dockerfiles


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (f"mariadb:11.8.9{DIGEST}", "mariadb:11.8.9"),
        (f"docker.io/library/nginx:1.30{DIGEST}", "nginx:1.30"),
        ("index.docker.io/valkey/valkey:9", "valkey/valkey:9"),
        ("nginx", "nginx:latest"),
        ("registry.example:5000/team/app", "registry.example:5000/team/app:latest"),
        ("registry.example:5000/team/app:2", "registry.example:5000/team/app:2"),
    ],
)
def test_a_reference_is_reduced_to_name_and_tag(written: str, plain: str) -> None:
    assert plain_reference(written) == plain


names = st.from_regex(r"[a-z][a-z0-9]{0,8}(/[a-z][a-z0-9]{0,8})?:[a-z0-9][a-z0-9.-]{0,8}", fullmatch=True)


@given(names)
def test_reducing_twice_changes_nothing_more(reference: str) -> None:
    assert plain_reference(plain_reference(reference + DIGEST)) == plain_reference(reference)


@given(st.lists(names, min_size=1, max_size=5), st.data())
def test_a_dockerfiles_base_images_are_exactly_those_that_are_no_stage(
    images: list[str], data: st.DataObject
) -> None:
    lines = []
    for number, image in enumerate(images):
        stage = data.draw(st.sampled_from(["", f" AS Stage{number}", f" as stage{number}"]))
        origin = data.draw(st.sampled_from([image, f"--platform=linux/amd64 {image}"]))
        lines.append(data.draw(st.sampled_from(["FROM ", "from "])) + origin + stage)
        if stage:
            lines += [
                f"FROM {data.draw(st.sampled_from(['stage', 'STAGE']))}{number}",
                f"COPY --from=stage{number} /a /b",
                "COPY --from=0 /a /b",
            ]
        lines.append(data.draw(st.sampled_from(["RUN true", "", "# FROM nothing:1", "COPY . /src"])))
    assert base_images("\n".join(lines)) == list(dict.fromkeys(images))


def test_arguments_and_copies_from_outside_are_found() -> None:
    dockerfile = (
        "ARG BASE=debian:trixie-slim\nFROM ${BASE}\nCOPY --from=nginx:1.30-alpine /a /b\nFROM scratch\n"
    )
    assert base_images(dockerfile) == ["debian:trixie-slim", "nginx:1.30-alpine"]


def test_a_frontend_image_is_refused_because_it_could_not_be_fetched() -> None:
    with pytest.raises(StandinError, match="remove that line"):
        base_images("# syntax=docker/dockerfile:1\nFROM debian:trixie-slim\n")


def test_defaults_of_variables_are_used() -> None:
    assert substitute("${IMAGE:-mariadb:11.8.9}-$SUFFIX", {"SUFFIX": "x"}) == "mariadb:11.8.9-x"


# --- the table


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


# --- choosing


def test_upstream_images_are_chosen_when_a_registry_answers(docker: Fake, project: Path) -> None:
    docker.pull_does("exit 0")
    choice = standins.choose(project)
    assert not choice.standins
    assert choice.line == "Images: the upstream images, because the image registry answers."


def test_the_smallest_image_is_the_one_that_is_tried(docker: Fake, project: Path) -> None:
    standins.choose(project)
    assert docker.calls("pull") == [f"pull python:3.13.16-slim-trixie{DIGEST}"]


def test_stand_ins_are_chosen_when_no_registry_answers_and_the_line_says_why(
    docker: Fake, project: Path
) -> None:
    choice = standins.choose(project)
    assert choice.standins
    assert choice.line.endswith("because no image registry answers (no such host).")


def test_a_registry_that_hangs_is_given_up(
    docker: Fake, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standins, "PULL_SECONDS", 0.3)
    docker.pull_does("exec sleep 30")
    assert standins.choose(project).reason == "no image registry answers (no answer within 0.3 s)"


def test_a_slow_pull_that_has_begun_counts_as_an_answer(
    docker: Fake, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standins, "PULL_SECONDS", 0.5)
    docker.pull_does('echo "3.13.16: Pulling from library/python"; exec sleep 30')
    assert not standins.choose(project).standins


def test_images_that_are_all_here_need_no_registry(docker: Fake, project: Path) -> None:
    docker.has(f"mariadb:11.8.9{DIGEST}", f"python:3.13.16-slim-trixie{DIGEST}")
    assert standins.choose(project).reason == "the engine has all of them"
    assert docker.calls("pull") == []


@pytest.mark.parametrize(("wish", "expected"), [("always", True), ("never", False)])
def test_a_wish_decides_without_asking(
    docker: Fake, project: Path, monkeypatch: pytest.MonkeyPatch, wish: str, expected: bool
) -> None:
    monkeypatch.setenv("STANDINS", wish)
    assert standins.choose(project).standins is expected
    assert docker.calls("pull") == []


def test_an_unknown_wish_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDINS", "maybe")
    with pytest.raises(StandinError, match="auto, always, never"):
        standins.choose(project)


# --- the override


def test_the_override_replaces_images_and_the_bases_of_builds(
    docker: Fake, project: Path, tmp_path: Path
) -> None:
    table = Table()
    path = standins.override(project, output=tmp_path / "o.yml", table=table)
    database, python = table.find("mariadb:11.8.9"), table.find("python:3.13.16-slim-trixie")
    assert database and python
    assert yaml.safe_load(path.read_text())["services"] == {
        "db": {"image": table.built_tag(database), "pull_policy": "never"},
        "app": {
            "build": {
                "additional_contexts": {
                    f"python:3.13.16-slim-trixie{DIGEST}": f"docker-image://{table.built_tag(python)}"
                }
            }
        },
    }


def test_the_override_is_written_beside_the_project_never_into_it(docker: Fake, project: Path) -> None:
    before = sorted(project.rglob("*"))
    first, second = standins.override(project), standins.override(project, ["docker-compose.yml"])
    assert first == second
    assert project not in first.parents
    assert sorted(project.rglob("*")) == before


def test_later_files_change_earlier_ones(project: Path) -> None:
    (project / "more.yml").write_text(
        "services:\n  db:\n    image: mariadb:11.8.10\n    ports: !reset []\n"
        "  sink:\n    image: axllent/mailpit:v1.31\n"
    )
    found = {service.name: service for service in services(project, ["docker-compose.yml", "more.yml"])}
    assert found["db"] == Service("db", image="mariadb:11.8.10")
    assert found["sink"].image == "axllent/mailpit:v1.31"


@pytest.mark.parametrize(
    "content", ["services: [", "just text", "{}", "services:\n  a:\n    build: ./nowhere\n"]
)
def test_a_project_that_cannot_be_read_is_refused(project: Path, content: str) -> None:
    (project / "docker-compose.yml").write_text(content)
    with pytest.raises(StandinError, match=r"docker-compose\.yml|nowhere"):
        standins.override(project)


# --- building


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
    docker.has(*(table.built_tag(image) for image in table.images.values() if image.name == "base"))
    (docker.folder / "broken").write_text("standin/python:")
    with pytest.raises(StandinError, match=r"(?s)building the stand-in python failed.*E: not found"):
        standins.build(lambda *_: None, table=table)
    assert not [call for call in docker.calls("buildx") if call.endswith("/mailpit")]


# --- the command line


def test_the_choice_is_told_in_one_line_or_as_json(
    docker: Fake, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert standins.main(["choose", str(project)]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert standins.main(["choose", str(project), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["standins"] is True


def test_the_override_command_prints_the_files_path(
    docker: Fake, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert standins.main(["override", str(project)]) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()


def test_an_unknown_image_is_told_on_standard_error(
    docker: Fake, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "docker-compose.yml").write_text("services:\n  a:\n    image: redis:7\n")
    assert standins.main(["override", str(project)]) == 1
    assert "no stand-in honours redis:7" in capsys.readouterr().err


def test_the_build_command_makes_sure_of_an_engine_first(
    docker: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_engine(say: engine.Say, *, with_debootstrap: bool) -> engine.Status:
        raise engine.EngineError("Missing: the docker command.")

    monkeypatch.setattr(engine, "ensure", no_engine)
    assert standins.main(["build"]) == 1
    assert capsys.readouterr().err == "Missing: the docker command.\n"


def test_without_a_terminal_progress_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with standins.shown_progress() as progress:
        for state in ("there", "building", "built"):
            progress("nginx", state)
    assert capsys.readouterr().err.splitlines() == ["nginx      building", "nginx      built in 0 s"]
