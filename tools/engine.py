"""Makes sure that a Docker engine runs here: finds one, or installs and starts one where that is possible.

On Debian and Ubuntu as root it installs the distribution's packages and starts the engine, through systemd
where that runs the machine, else detached. Elsewhere it says exactly what is missing and how to get it.
An engine that was not started here is never stopped or restarted.

    python -m tools.engine ensure|status

Only the standard library is needed, so this also runs before any virtual environment exists.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MINIMUM_COMPOSE = (2, 20)
START_SECONDS = 90
_COMMAND_SECONDS = 30
_INSTALL_SECONDS = 900
# Debian 13 splits the client off; Ubuntu calls the second generation of Compose docker-compose-v2.
_PACKAGES = (("docker.io",), ("docker-cli",), ("docker-compose-v2", "docker-compose"), ("docker-buildx",))
_OPTIONAL = {"docker-cli"}

_SYSTEMD = Path("/run/systemd/system")
_ENGINE_PID = Path("/run/docker.pid")
_CONFIGURATION = Path("/etc/docker/daemon.json")
# Each stack has seven networks, and an engine with its own pools has room for 31.
_POOLS = ("--default-address-pool", "base=10.64.0.0/12,size=24")

Say = Callable[[str], None]


class EngineError(Exception):
    """No usable engine, and none can be made; the message says what to do."""


@dataclass(frozen=True)
class Status:
    """What was found. A version is empty where the thing is missing or does not answer."""

    client: bool
    server: str
    compose: str
    buildx: str
    refusal: str = ""

    @property
    def missing(self) -> list[str]:
        """What stands between this machine and a running stack, in words."""
        compose = "Docker Compose {}.{} or newer".format(*MINIMUM_COMPOSE)
        if self.compose:
            compose += f" (here: {self.compose})"
        problems = {
            "the docker command": not self.client,
            "a running Docker engine": self.client and not self.server,
            compose: self.client and not compose_is_recent(self.compose),
            "the docker buildx plugin": self.client and not self.buildx,
        }
        return [name for name, absent in problems.items() if absent]


def run(
    command: Sequence[str], seconds: float = _COMMAND_SECONDS, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command and catch what it prints; one that is missing or hangs counts as failed."""
    environment = os.environ | variables
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, env=environment
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: not found")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {seconds:.0f} s")


def status() -> Status:
    """Look at the engine and its plugins, changing nothing."""
    if not shutil.which("docker"):
        return Status(client=False, server="", compose="", buildx="")
    info = run(["docker", "info", "--format", "{{.ServerVersion}}"])
    compose = run(["docker", "compose", "version", "--short"])
    buildx = run(["docker", "buildx", "version"])
    return Status(
        client=True,
        server=info.stdout.strip() if info.returncode == 0 else "",
        compose=compose.stdout.strip() if compose.returncode == 0 else "",
        buildx=buildx.stdout.strip() if buildx.returncode == 0 else "",
        refusal=info.stderr.strip() if info.returncode else "",
    )


def compose_is_recent(version: str) -> bool:
    """Whether Compose is new enough; ``version`` is what ``docker compose version --short`` prints."""
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return bool(match) and (int(match[1]), int(match[2])) >= MINIMUM_COMPOSE


def cache_folder() -> Path:
    """This project's cache folder, made if needed."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailserver-template"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Let only one process at a time into a piece of work."""
    with (cache_folder() / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ensure(say: Say = print, *, with_debootstrap: bool = False) -> Status:
    """Return once an engine with Compose and buildx answers.

    Args:
        say: is told each step, one line at a time.
        with_debootstrap: also install debootstrap, which the stand-in images start from.

    Raises:
        EngineError: if it cannot be done here.
    """
    with lock("engine"):
        found = status()
        bootstrap = with_debootstrap and not shutil.which("debootstrap")
        if not found.missing and not bootstrap:
            return found
        if not shutil.which("dockerd") or set(found.missing) - {"a running Docker engine"} or bootstrap:
            _require_installable(found, bootstrap)
            _install(say, debootstrap=bootstrap, docker=bool(found.missing))
            found = status()
        if found.client and not found.server:
            _start(say, found)
            found = status()
        if found.missing:
            raise EngineError(_explain(found))
    say(f"Docker engine {found.server} with Compose {found.compose} is ready")
    return found


def _explain(found: Status) -> str:
    lines = ["Missing: " + ", ".join(found.missing) + "."]
    if "permission denied" in found.refusal.lower():
        lines = ["This user may not use the Docker engine: " + found.refusal.splitlines()[0]]
        lines.append("Run this as root, or: sudo usermod -aG docker $USER, then log in again.")
    elif os.environ.get("DOCKER_HOST"):
        lines.append(f"DOCKER_HOST={os.environ['DOCKER_HOST']} does not answer; correct or unset it.")
    elif sys.platform == "darwin":
        lines.append("Start Docker Desktop (or colima), then run this again.")
    else:
        lines.append("On Debian and Ubuntu, as root, this program installs and starts all of it by itself;")
        lines.append(
            "by hand: apt-get install docker.io docker-compose docker-buildx (Ubuntu: docker-compose-v2)."
        )
        lines.append("Elsewhere install Docker Engine with its Compose and Buildx plugins, and start it.")
    return "\n".join(lines)


def _require_installable(found: Status, bootstrap: bool) -> None:
    able = os.geteuid() == 0 and shutil.which("apt-get")
    if able and not os.environ.get("DOCKER_HOST"):
        return
    if bootstrap and not found.missing:
        raise EngineError("Missing: debootstrap. As root: apt-get install debootstrap")
    raise EngineError(_explain(found))


def _install(say: Say, *, debootstrap: bool, docker: bool) -> None:
    if run(["apt-get", "update", "-qq"], _INSTALL_SECONDS).returncode:
        raise EngineError("apt-get update failed; the package lists are needed to install Docker.")
    packages = ["debootstrap"] if debootstrap else []
    if docker:
        packages += [name for names in _PACKAGES if (name := _first_available(names))]
    say("installing " + ", ".join(packages))
    command = ["apt-get", "install", "--yes", "--quiet=2", *packages]
    result = run(command, _INSTALL_SECONDS, DEBIAN_FRONTEND="noninteractive")
    if result.returncode:
        raise EngineError(f"installing {', '.join(packages)} failed:\n{result.stderr.strip()[-2000:]}")


def _first_available(names: Sequence[str]) -> str:
    for name in names:
        policy = run(["apt-cache", "policy", name]).stdout
        if "Candidate:" in policy and "Candidate: (none)" not in policy:
            return name
    if set(names) <= _OPTIONAL:
        return ""
    raise EngineError(f"no package {' or '.join(names)} is to be had from this machine's package sources")


def _start(say: Say, found: Status) -> None:
    if "permission denied" in found.refusal.lower() or os.environ.get("DOCKER_HOST") or os.geteuid() != 0:
        raise EngineError(_explain(found))
    if _SYSTEMD.is_dir():
        say("starting the Docker engine (systemd)")
        run(["systemctl", "start", "docker"], START_SECONDS)
        _wait_for_engine("journalctl -u docker")
    elif _engine_is_running():
        say("a Docker engine is starting, waiting for it")
        _wait_for_engine("the log of that engine")
    else:
        log = cache_folder() / "dockerd.log"
        say(f"starting the Docker engine (log: {log})")
        _start_detached(log)
        _wait_for_engine(str(log))


def _engine_is_running() -> bool:
    """Whether another engine holds the pid file: a second one must not be started beside it."""
    try:
        process = int(_ENGINE_PID.read_text())
        return Path(f"/proc/{process}/comm").read_text().strip() == "dockerd"
    except (OSError, ValueError):
        return False


def _start_detached(log: Path) -> None:
    command = [shutil.which("dockerd") or "/usr/sbin/dockerd"]
    # What somebody configured stays as it is: the engine refuses a setting that is in both places.
    command += [] if _CONFIGURATION.exists() else _POOLS
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )
    (cache_folder() / "dockerd.pid").write_text(f"{process.pid}\n")


def _wait_for_engine(where_to_look: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if run(["docker", "info"]).returncode == 0:
            return
        time.sleep(0.5)
    raise EngineError(f"the Docker engine did not answer within {START_SECONDS} s; see {where_to_look}")


def _report(found: Status, say: Say) -> int:
    say(f"engine   {found.server or 'does not answer'}")
    say(f"compose  {found.compose or 'missing'}")
    say(f"buildx   {found.buildx or 'missing'}")
    if found.missing:
        say(_explain(found))
    return 1 if found.missing else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0 if a usable engine answers, 1 if not."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.engine", description="The Docker engine of this machine."
    )
    parser.add_argument("command", choices=["ensure", "status"])
    command = parser.parse_args(arguments).command
    if command == "status":
        return _report(status(), print)
    try:
        ensure()
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
