"""No engine is told to mount what is not the repository's, or takes a name for an option."""

from __future__ import annotations

import pytest

from policies.gate.tools.base import Settings
from policies.gate.tools.services import SERVICES
from policies.shared.repository import Repository

NGINX = next(tool for tool in SERVICES if tool.service == "nginx")


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Return the file in which a stand-in for the engine notes what it is asked."""
    program, notes = tmp_path / "docker", tmp_path / "asked"
    program.write_text(f'#!/bin/sh\necho "$*" >>{notes}\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr("policies.gate.tools.services.program", lambda name: str(program))
    return notes


def outcome(root, volume, image="nginx:1"):
    """Return what the checker says of a Compose file with one mount, and with a folder that leads out."""
    folder = root / "config" / "nginx"
    folder.mkdir(parents=True)
    (folder / "a.conf").write_text("")
    (root / "config" / "out").symlink_to("/etc")
    text = f"services:\n  nginx:\n    image: {image!r}\n    volumes: [{volume}]\n"
    (root / "compose.yml").write_text(text)
    return NGINX.run(Repository(root), Settings())


@pytest.mark.parametrize(
    ("volume", "file"),
    [
        ("'./config/out/passwd:/etc/nginx/passwd:ro'", "config/out/passwd"),
        ("'./config/out:/etc/nginx:ro'", "config/out"),
        ("{type: bind, source: './config/a,readonly=false', target: /x}", "config/a,readonly=false"),
        ("{type: bind, source: './config/nginx', target: '/x,bind-propagation=shared'}", "config/nginx"),
        ("{type: bind, source: './config/a:b', target: /x}", "config/a:b"),
        ("{type: bind, source: './config/nginx', target: 'x'}", "config/nginx"),
        ('{type: bind, source: "./config/a\\0b", target: /x}', "config/a\0b"),
    ],
)
def test_a_mount_that_leads_out_or_hides_an_option_is_refused_by_name(tmp_path, asked, volume, file):
    said = outcome(tmp_path / "root", volume)
    [problem] = said.problems
    assert (problem.kind, problem.place.file) == ("tool-failed", file)
    assert "was not run" in problem.what
    assert not asked.exists()


@pytest.mark.parametrize("source", ["/etc", "../outside", "./config/../../outside", "~/x"])
def test_a_mount_from_elsewhere_is_never_handed_on(tmp_path, asked, source):
    said = outcome(tmp_path / "root", f"'{source}:/etc/nginx:ro'")
    assert said.problems == []
    ran = [line for line in asked.read_text().splitlines() if line.startswith("run ")]
    assert ran
    assert not [line for line in ran if "/etc/nginx" in line]


@pytest.mark.parametrize("image", ["--privileged", "-v"])
def test_an_image_that_is_an_option_is_refused(tmp_path, asked, image):
    said = outcome(tmp_path / "root", "'./config/nginx:/etc/nginx:ro'", image)
    [problem] = said.problems
    assert problem.place.file == "compose.yml"
    assert not asked.exists()


def test_a_mount_of_the_repository_is_handed_on_read_only(tmp_path, asked):
    root = tmp_path / "root, with a comma"
    said = outcome(root, "'./config/nginx:/etc/nginx'")
    assert said.problems == []
    assert f'--mount=type=bind,"source={root}/config/nginx",target=/etc/nginx,readonly' in asked.read_text()
