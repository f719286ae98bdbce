"""Finding, installing and starting a Docker engine, on machines made of a few small programs on PATH."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import engine

# Each fake program notes its call; the engine "runs" while the file named server exists.
DOCKER = """#!/bin/sh
state=STATE
case "$1 $2" in
  "info "*)
    if [ -e "$state/server" ]; then read -r line <"$state/server"; echo "$line"; exit 0; fi
    read -r line <"$state/refusal"; echo "$line" >&2; exit 1 ;;
  "compose version") [ -e "$state/compose" ] && read -r line <"$state/compose" && echo "$line" ;;
  "buildx version") [ -e "$state/buildx" ] && echo 0.13.1 ;;
esac
"""
STARTED = "dockerd --default-address-pool base=10.64.0.0/12,size=24"
DOCKERD = '#!/bin/sh\necho "dockerd $*" >>STATE/calls\n[ -e STATE/broken ] || echo 26.1.5 >STATE/server\n'
SYSTEMCTL = '#!/bin/sh\necho "systemctl $*" >>STATE/calls\necho 26.1.5 >STATE/server\n'
APT_CACHE = (
    '#!/bin/sh\n[ "$2" = docker-compose-v2 ] && echo "N: Unable to locate" || echo "  Candidate: 1.0"\n'
)
APT_GET = """#!/bin/sh
echo "apt-get $*" >>STATE/calls
[ "$1" = install ] || exit 0
for name in docker dockerd; do [ -e BIN/$name ] || /bin/ln -s STATE/$name.program BIN/$name; done
echo 2.26.1 >STATE/compose; echo yes >STATE/buildx
[ ! -e STATE/broken-install ] || { echo "E: no space left" >&2; exit 100; }
"""


@dataclass
class Machine:
    """A machine: the programs it has, and what was called."""

    bin: Path
    state: Path

    def add(self, name: str, program: str, *, installed: bool = True) -> None:
        """Put a program on PATH, or only where apt-get takes it from."""
        text = program.replace("STATE", str(self.state)).replace("BIN", str(self.bin))
        path = self.bin / name if installed else self.state / f"{name}.program"
        path.write_text(text)
        path.chmod(0o755)

    def set(self, **values: str) -> Machine:
        """Set what the fake engine answers."""
        for name, value in values.items():
            (self.state / name.replace("_", "-")).write_text(value + "\n")
        return self

    @property
    def calls(self) -> list[str]:
        """The calls that change something, in order."""
        path = self.state / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A Debian machine without Docker, as root, without systemd."""
    machine = Machine(tmp_path / "bin", tmp_path / "state")
    machine.bin.mkdir()
    machine.state.mkdir()
    for name, program in (("docker", DOCKER), ("dockerd", DOCKERD)):
        machine.add(name, program, installed=False)
    machine.add("apt-get", APT_GET)
    machine.add("apt-cache", APT_CACHE)
    machine.set(refusal="Cannot connect to the Docker daemon")
    monkeypatch.setenv("PATH", str(machine.bin))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine, "_SYSTEMD", tmp_path / "no-systemd")
    monkeypatch.setattr(engine, "_ENGINE_PID", tmp_path / "docker.pid")
    monkeypatch.setattr(engine, "_CONFIGURATION", tmp_path / "daemon.json")
    monkeypatch.setattr(engine, "START_SECONDS", 10)
    return machine


@pytest.fixture
def stopped(bare: Machine) -> Machine:
    """A machine with everything installed, but no engine running."""
    bare.add("docker", DOCKER)
    bare.add("dockerd", DOCKERD)
    return bare.set(compose="2.26.1-4", buildx="yes")


@pytest.fixture
def ready(stopped: Machine) -> Machine:
    """A machine with a running engine."""
    return stopped.set(server="26.1.5")


def quiet(line: str) -> None:
    """Swallow progress."""


def refused(**options: bool) -> str:
    """The message of an ensure() that must fail."""
    with pytest.raises(engine.EngineError) as caught:
        engine.ensure(quiet, **options)
    return str(caught.value)


def test_a_running_engine_is_left_as_it_is(ready: Machine) -> None:
    assert engine.ensure(quiet).server == "26.1.5"
    assert ready.calls == []


def test_on_a_bare_debian_machine_everything_is_installed_and_started(bare: Machine) -> None:
    said: list[str] = []
    assert engine.ensure(said.append).missing == []
    assert bare.calls == [
        "apt-get update -qq",
        "apt-get install --yes --quiet=2 docker.io docker-cli docker-compose docker-buildx",
        STARTED,
    ]
    assert said[-1] == "Docker engine 26.1.5 with Compose 2.26.1 is ready"


def test_an_installed_engine_is_started_without_installing_anything(stopped: Machine) -> None:
    engine.ensure(quiet)
    assert stopped.calls == [STARTED]


def test_an_engine_that_somebody_configured_is_started_as_it_is(stopped: Machine, tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text("{}")
    engine.ensure(quiet)
    assert stopped.calls == ["dockerd "]


def test_where_systemd_runs_the_machine_it_starts_the_engine(
    stopped: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped.add("systemctl", SYSTEMCTL)
    monkeypatch.setattr(engine, "_SYSTEMD", tmp_path)
    engine.ensure(quiet)
    assert stopped.calls == ["systemctl start docker"]


def test_a_second_engine_is_never_started_beside_one_that_does_not_answer(
    stopped: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_engine_is_running", lambda: True)
    monkeypatch.setattr(engine, "START_SECONDS", 0.1)
    assert "did not answer" in refused()
    assert stopped.calls == []


def test_a_pid_file_counts_only_while_that_process_is_an_engine(bare: Machine, tmp_path: Path) -> None:
    assert not engine._engine_is_running()
    (tmp_path / "docker.pid").write_text(str(os.getpid()))
    assert not engine._engine_is_running()


def test_an_engine_that_never_answers_is_reported_with_its_log(
    stopped: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "START_SECONDS", 0.1)
    stopped.set(broken="yes")
    assert "dockerd.log" in refused()


def test_debootstrap_is_installed_only_when_stand_ins_need_it(ready: Machine) -> None:
    engine.ensure(quiet, with_debootstrap=True)
    assert ready.calls == ["apt-get update -qq", "apt-get install --yes --quiet=2 debootstrap"]


def test_an_old_compose_is_replaced(ready: Machine) -> None:
    ready.set(compose="2.19.1")
    engine.ensure(quiet)
    assert "docker-compose" in ready.calls[1]


def test_a_failed_installation_tells_what_apt_said(bare: Machine) -> None:
    bare.set(broken_install="yes")
    assert "no space left" in refused()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"compose": "2.19.1"}, "Docker Compose 2.20 or newer (here: 2.19.1)"),
        ({"refusal": "permission denied while trying to connect"}, "usermod -aG docker"),
        ({}, "a running Docker engine"),
    ],
)
def test_without_root_the_message_says_what_is_missing_and_how_to_get_it(
    stopped: Machine, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    stopped.set(**answers)
    assert expected in refused()
    assert stopped.calls == []


def test_without_root_a_missing_debootstrap_is_named(ready: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert refused(with_debootstrap=True) == "Missing: debootstrap. As root: apt-get install debootstrap"


def test_a_remote_engine_that_does_not_answer_is_not_replaced_by_a_local_one(
    stopped: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert "DOCKER_HOST=tcp://192.0.2.1:2375 does not answer" in refused()
    assert stopped.calls == []


def test_nothing_is_installed_for_a_remote_engine(bare: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert "DOCKER_HOST" in refused()
    assert bare.calls == []


def test_on_another_system_nothing_is_tried(bare: Machine) -> None:
    (bare.bin / "apt-get").unlink()
    message = refused()
    assert message.startswith("Missing: the docker command")
    assert "Elsewhere install Docker Engine" in message


@pytest.mark.parametrize(("server", "code"), [("26.1.5", 0), ("", 1)])
def test_the_status_command_tells_by_its_exit_code(
    stopped: Machine, capsys: pytest.CaptureFixture[str], server: str, code: int
) -> None:
    if server:
        stopped.set(server=server)
    assert engine.main(["status"]) == code
    assert stopped.calls == []
    assert (server or "does not answer") in capsys.readouterr().out


def test_the_ensure_command_fails_with_the_message_on_standard_error(
    bare: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert engine.main(["ensure"]) == 1
    assert "Missing: the docker command" in capsys.readouterr().err


@given(
    st.integers(0, 40),
    st.integers(0, 99),
    st.sampled_from(["", "v"]),
    st.sampled_from(["", ".1", ".3-4", "-desktop"]),
)
def test_compose_is_recent_from_2_20_on(major: int, minor: int, prefix: str, suffix: str) -> None:
    assert engine.compose_is_recent(f"{prefix}{major}.{minor}{suffix}") == ((major, minor) >= (2, 20))


@pytest.mark.parametrize("nonsense", ["", "unknown", "dev"])
def test_an_unreadable_compose_version_is_not_recent(nonsense: str) -> None:
    assert not engine.compose_is_recent(nonsense)
