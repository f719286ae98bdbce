"""The stand-ins that other images are built from, put in their place by the override."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

from tests.standins.hardened import docker
from tools import standins
from tools.standin_images import Table

REFERENCE = (
    "python:3.13.16-slim-trixie@sha256:" + "bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c"
)
DOCKERFILE = f"""FROM {REFERENCE} AS build
RUN python -m venv /opt/venv && test -x /opt/venv/bin/pip && pip --version
RUN printf 'print("hello")' >/opt/venv/hello.py
FROM {REFERENCE}
COPY --from=build /opt/venv /opt/venv
CMD ["/opt/venv/bin/python", "/opt/venv/hello.py"]
"""


def test_a_pinned_base_is_replaced_in_a_build_and_a_copied_venv_works(table: Table, tmp_path: Path) -> None:
    name = f"standins-test-{uuid.uuid4().hex[:8]}"
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "docker-compose.yml").write_text(f"name: {name}\nservices:\n  app:\n    build: ./app\n")
    override = standins.override(tmp_path, output=tmp_path / "standins.yml", table=table)
    files = ["-f", str(tmp_path / "docker-compose.yml"), "-f", str(override)]
    try:
        build = docker("compose", *files, "build", "--quiet")
        assert build.returncode == 0, build.stderr
        run = docker("compose", *files, "run", "--rm", "--no-deps", "app")
        assert run.stdout.strip() == "hello", run.stderr
    finally:
        docker("compose", *files, "down", "--rmi", "local", "--volumes")


def in_image(table: Table, name: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a fresh container of a stand-in."""
    [image] = [image for image in table.images.values() if image.name == name]
    return docker("run", "--rm", "--network=none", table.built_tag(image), "sh", "-c", script)


def test_the_debian_base_has_nothing_that_a_build_could_forget_to_install(table: Table) -> None:
    for path in (
        "/etc/ssl/certs/ca-certificates.crt",
        "/usr/bin/curl",
        "/usr/bin/python3",
        "/usr/bin/openssl",
    ):
        assert in_image(table, "debian", f"test -e {path}").returncode == 1, path


def test_the_python_base_finds_its_interpreter_where_the_official_image_has_it(table: Table) -> None:
    script = "for name in python python3 pip; do command -v $name; done; python --version"
    found = in_image(table, "python", script).stdout.split("\n")
    assert found[:3] == ["/usr/local/bin/python", "/usr/local/bin/python3", "/usr/local/bin/pip"]
    assert found[3].startswith("Python 3.13.")
