"""Docker Compose understands every generated composition, alone and with the local override."""

import hashlib
import shutil
import subprocess

import pytest

from tests.generation.repositories import COMBINATIONS

pytestmark = pytest.mark.docker
INPUTS = ("docker-compose.yml", "compose.local.yml", ".env.example")
OVERRIDES = {"alone": (), "with the local override": ("compose.local.yml",)}


def distinct_compositions(repositories):
    """Return one repository for each different set of files that Compose reads."""
    found = {}
    for name in COMBINATIONS:
        bodies = [(repositories[name] / path).read_bytes() for path in INPUTS]
        found.setdefault(hashlib.sha256(b"\0".join(bodies)).digest(), (name, repositories[name]))
    return dict(found.values())


@pytest.mark.parametrize("overrides", OVERRIDES.values(), ids=list(OVERRIDES))
def test_compose_accepts_every_composition(repositories, overrides, tmp_path):
    assert shutil.which("docker"), "docker is missing: make system"
    said = {}
    for name, root in distinct_compositions(repositories).items():
        values = (root / ".env.example").read_text(encoding="utf-8")
        settings = tmp_path / "settings.env"
        # What a person fills in before the first start, and mailctl where there are several hosts.
        values = values.replace("LAN_ADDRESS=\n", "LAN_ADDRESS=192.0.2.1\n") + "MEMBER=1\n"
        settings.write_text(values, encoding="utf-8")
        given = [part for path in ("docker-compose.yml", *overrides) for part in ("--file", root / path)]
        command = ["docker", "compose", *map(str, given), "--env-file", str(settings), "config", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
        if done.returncode or done.stderr:
            said[name] = done.stderr
    assert said == {}
