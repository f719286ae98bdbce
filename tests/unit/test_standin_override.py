"""References, Dockerfiles and the override for a Compose project, without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fake_docker import DIGEST, Fake
from tools import standins
from tools.standin_images import StandinError, Table, plain_reference
from tools.standin_override import Service, base_images, services, substitute


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
