"""Several rspamds have the same DKIM keys, whoever changed one, and whatever happened to Valkey."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.places import REPOSITORY
from tests.standins.hardened import Container, docker, wait_until

CONFIG = REPOSITORY / "config" / "rspamd"
FOLDER = "/var/lib/rspamd/dkim"
#: As start.sh does it.
START = f'umask 077; mkdir -p {FOLDER} /run/rspamd; sh /etc/rspamd/bin/beside "$$" & exec rspamd -f'
#: The order of the map's lines says nothing.
SEEN = f"""cd {FOLDER} && find . -type f -size +0 -printf '%m %s %f\\n' | sort && sort selectors.map &&
cat $(find . -name '*.example.*' -size +0 | sort) /dev/null | sha256sum"""
START_RSPAMD = Callable[[], Container]


@pytest.fixture
def network() -> Iterator[str]:
    """A network of the test's own."""
    name = f"standins-test-{uuid.uuid4().hex[:8]}"
    docker("network", "create", "--internal", name)
    yield name
    docker("network", "rm", name)


@pytest.fixture
def valkey(start: Callable[..., Container], network: str) -> Iterator[Container]:
    """It forgets everything when it is restarted."""
    options = ("--user=999:1000", "--tmpfs=/data:mode=1777", f"--network={network}", "--network-alias=valkey")
    container = start("valkey", *options, command=("--save", "", "--protected-mode", "no"))
    container.wait_healthy("valkey-cli", "ping")
    yield container
    container.remove()


@pytest.fixture
def another(
    start: Callable[..., Container], valkey: Container, network: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[START_RSPAMD]:
    """Start one more rspamd, with nothing in its folder."""
    folder = tmp_path_factory.mktemp("mounts")
    for each in (folder, folder.parent):
        each.chmod(0o755)
    (folder / "redis.conf").write_text('servers = "valkey:6379";\n')
    mounts = {
        CONFIG / "lua.local.d" / "dkim_share.lua": "lua.local.d/dkim_share.lua",
        CONFIG / "bin": "bin",
        folder / "redis.conf": "local.d/redis.conf",
    }
    made: list[Container] = []

    def starter() -> Container:
        options = [f"--volume={source}:/etc/rspamd/{target}:ro" for source, target in mounts.items()]
        options += [
            "--user=11333:11333",
            "--tmpfs=/tmp",
            "--tmpfs=/run:mode=1777",
            "--volume=/var/lib/rspamd",
        ]
        options += [
            f"--network={network}",
            "--env=MAIL_DOMAIN=own.example",
            "--env=RSPAMD_NEEDS=valkey",
            "--entrypoint=/bin/sh",
        ]
        made.append(start("rspamd", *options, command=("-c", START)))
        return made[-1]

    yield starter
    for container in made:
        container.remove()


def alike(*rspamds: Container) -> Callable[[], str]:
    """What all of them have, once that is the same and not nothing."""

    def look() -> str:
        found = {each.execute("sh", "-c", SEEN).stdout for each in rspamds}
        return found.pop() if len(found) == 1 and ".key" in min(found) else ""

    return look


def tool(rspamd: Container, *words: str) -> str:
    """What bin/dkim says."""
    done = rspamd.execute("sh", "/etc/rspamd/bin/dkim", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_keys_are_the_same_everywhere_whoever_changed_them(another: START_RSPAMD, valkey: Container) -> None:
    one, other = another(), another()
    first = wait_until(alike(one, other), "both have the key that one of them made")
    assert re.search(r"(?m)^600 \d+ own.example.mailctl1.key$", first)
    tool(other, "make", "own.example", "mailctl2")
    tool(other, "use", "own.example", "mailctl2")
    wait_until(lambda: "mailctl2\tsigns" in tool(one, "list", "own.example"), "the other's choice")
    tool(one, "remove", "own.example", "mailctl1")
    wait_until(lambda: "mailctl1" not in tool(other, "list", "own.example"), "what was removed")

    late = another()
    kept = wait_until(alike(one, other, late), "a new host takes the keys, and makes none")
    assert "mailctl1" not in kept and "mailctl2" in kept

    docker("stop", valkey.name)
    tool(late, "make", "more.example", "mailctl1")
    docker("start", valkey.name)
    wait_until(lambda: "mailctl1" in tool(one, "list", "more.example"), "what was made while Valkey was down")
    assert wait_until(alike(one, other, late), "a Valkey that forgot all is told again").count(".key") == 2
