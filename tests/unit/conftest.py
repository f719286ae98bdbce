"""What the tests of stand-ins share: a small fake of docker, a project, a folder of images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.fake_docker import DIGEST, Fake
from tools import standin_images


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
