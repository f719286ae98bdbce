"""`mailctl images check`: what moved upstream, and the new digests wherever an image is named."""

import json
from pathlib import Path

import pytest
from conftest import Cli
from fakes import FakeEngine

OLD, NEW, OTHER = (f"sha256:{digit * 64}" for digit in "123")
COMPOSE = f"""\
name: shop-mail
services:
  mariadb:
    image: mariadb:11.8@{OLD} # the database
  nginx:
    image: registry.example:5000/nginx:1.30-alpine@{OTHER}
  ours:
    image: shop-mail/ours:local
"""
LOCAL = f"services:\n  sink:\n    image: sink:1.2@{OLD}\n  tool:\n    image: sink:1.2@{OLD}\n"
DOCKERFILE = f"FROM python:3.13-slim@{OLD}\n"


@pytest.fixture
def pinned(repo: Path, engine: FakeEngine) -> Path:
    (repo / "docker-compose.yml").write_text(COMPOSE)
    (repo / "compose.local.yml").write_text(LOCAL)
    (repo / "platform").mkdir()
    (repo / "platform" / "Dockerfile").write_text(DOCKERFILE)
    engine.upstream = {
        "mariadb:11.8": NEW,
        "registry.example:5000/nginx:1.30-alpine": OTHER,
        "sink:1.2": NEW,
    }
    return repo


def test_what_moved_and_what_did_not_is_told(pinned: Path, cli: Cli) -> None:
    result = cli("images", "check", "--json")
    assert result.exit_code == 0, result.output
    images = {each["image"]: each for each in json.loads(result.stdout)["images"]}
    assert {name: each["state"] for name, each in images.items()} == {
        "mariadb:11.8": "moved",
        "registry.example:5000/nginx:1.30-alpine": "same",
        "sink:1.2": "moved",
    }
    assert (images["mariadb:11.8"]["pinned"], images["mariadb:11.8"]["now"]) == (OLD, NEW)
    assert (pinned / "docker-compose.yml").read_text() == COMPOSE, "only looking changes nothing"


def test_new_digests_are_written_wherever_an_image_is_named_and_nothing_else_changes(
    pinned: Path, cli: Cli
) -> None:
    assert cli("images", "check", "--write").exit_code == 0
    assert (pinned / "docker-compose.yml").read_text() == COMPOSE.replace(OLD, NEW)
    assert (pinned / "compose.local.yml").read_text() == LOCAL.replace(OLD, NEW)
    assert (pinned / "platform" / "Dockerfile").read_text() == DOCKERFILE, "it comes with make update"


def test_a_registry_that_does_not_say_is_told_and_the_others_are_written(
    pinned: Path, engine: FakeEngine, cli: Cli
) -> None:
    del engine.upstream["sink:1.2"]
    result = cli("images", "check", "--write")
    assert result.exit_code == 1
    assert "unknown" in result.stdout and "no such thing" in result.stdout
    assert NEW in (pinned / "docker-compose.yml").read_text()
    assert (pinned / "compose.local.yml").read_text() == LOCAL
