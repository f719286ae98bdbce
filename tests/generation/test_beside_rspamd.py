"""rspamd looks up its servers again when one has another address, and never while one has none."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.places import REPOSITORY

SCRIPT = REPOSITORY / "config" / "rspamd" / "bin" / "beside"
#: Instead of rspamd: writes a line at each reload, and lives as long as its standard input.
DAEMON = 'trap "echo reload >>\\"$1\\"" HUP; echo ready >>"$1"; while :; do read -r _ || exit 0; done'
#: Tells that it was called while somebody wants to know.
GETENT = """#!/bin/sh
[ ! -e "$NAMES/looked" ] || echo x >>"$NAMES/looked"
[ -s "$NAMES/$2" ] || exit 2
while read -r each; do echo "$each STREAM $2"; done <"$NAMES/$2"
"""


class Names:
    """Addresses by name, and the reloads that followed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, folder / "said"

    def set(self, name: str, *addresses: str) -> None:
        new = self.folder / f"{name}.new"
        new.write_text("".join(f"{each}\n" for each in addresses))
        new.replace(self.folder / name)

    def reloads(self) -> int:
        return self.said.read_text().count("reload")


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def names(tmp_path: Path) -> Iterator[Names]:
    """A daemon with two servers, and the script that follows their names."""
    made = Names(tmp_path)
    made.set("valkey", "10.0.0.2")
    made.set("clamav", "10.0.0.3", "10.0.0.4")
    (tmp_path / "getent").write_text(GETENT)
    (tmp_path / "getent").chmod(0o755)
    # Whoever runs the tests may ignore the signal, as nohup does, and what is ignored cannot be trapped.
    bash = ["env", "--default-signal=HUP", "bash", "-c", DAEMON, "daemon", str(made.said)]
    daemon = subprocess.Popen(bash, stdin=subprocess.PIPE)
    eventually(lambda: made.said.exists() and "ready" in made.said.read_text())
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "NAMES": str(tmp_path)}
    environment |= {"RSPAMD_NEEDS": "valkey clamav", "LOOK_SECONDS": "0.05"}
    follower = subprocess.Popen(["sh", str(SCRIPT), str(daemon.pid)], env=environment)
    try:
        yield made
    finally:
        daemon.kill()
        daemon.wait()
        follower.wait(120)  # it ends with the daemon


def settled(names: Names) -> None:
    """Long enough for the script to have looked three times."""
    looked = names.folder / "looked"
    looked.write_text("")
    eventually(lambda: looked.read_text().count("x") >= 6)
    looked.unlink()


def test_a_server_with_another_address_causes_one_reload(names: Names) -> None:
    settled(names)
    assert names.reloads() == 0
    names.set("clamav", "10.0.0.4", "10.0.0.9")
    eventually(lambda: names.reloads() == 1)
    settled(names)
    assert names.reloads() == 1


def test_the_order_of_the_answers_does_not_matter(names: Names) -> None:
    settled(names)
    names.set("clamav", "10.0.0.4", "10.0.0.3")
    settled(names)
    assert names.reloads() == 0


def test_while_a_name_has_no_address_nothing_is_reloaded(names: Names) -> None:
    settled(names)
    names.set("clamav")
    settled(names)
    assert names.reloads() == 0
    names.set("clamav", "10.0.0.9")
    eventually(lambda: names.reloads() == 1)
