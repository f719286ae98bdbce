"""What a ready host has beside files: packages, engine, clock, user, folders; each says what is missing."""

import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mailctl.core.errors import Problem, Refused
from mailctl.core.hold import FOLDERS as HOLD
from mailctl.host import ssh
from mailctl.host.files import Choices
from mailctl.host.install import systemctl
from mailctl.host.units import Place

# By package: the command that it is there for. What another package brought is as good.
COMMANDS = {
    "nftables": "nft",
    "iproute2": "ss",
    "openssl": "openssl",
    "unattended-upgrades": "unattended-upgrade",
}
# And on several hosts, for their mailboxes and second copies.
SEVERAL = {"btrfs-progs": "btrfs", "btrbk": "btrbk"}
# The first of each that this release has. Docker's own packages (docker-ce) do as well.
ENGINE = (("docker.io",), ("docker-cli",), ("docker-compose-v2", "docker-compose"), ("docker-buildx",))
CLOCKS = ("systemd-timesyncd", "chrony", "chronyd", "ntpsec", "ntp")
OLDEST_ENGINE = 25
FOLDERS = {
    "hdd": {"mailboxes": 0o755, "daily": 0o700, "weekly": 0o700},
    "ssd": {"mariadb": 0o755, "monitor": 0o755, "hasten": 0o700, **dict.fromkeys(HOLD, 0o755)},
}
# Who in a container writes there: mailserver-api, and nobody else.
OWNERS = {"hasten": 10001}
APT_SECONDS = 1800


@dataclass(frozen=True)
class Host:
    """Where the server is, and what its operator chose."""

    place: Place
    choices: Choices = field(default_factory=Choices)


@dataclass(frozen=True)
class Part:
    """One thing that a host needs: `missing` says what is not there, `repair` brings it."""

    name: str
    missing: Callable[[Host], list[str]]
    repair: Callable[[Host], None]


def _packages(host: Host) -> list[str]:
    return [name for name, word in _commands(host).items() if not _which(word)] + _engine()


def _commands(host: Host) -> dict[str, str]:
    return COMMANDS | (SEVERAL if host.choices.hosts else {})


def _engine() -> list[str]:
    """Packages of the engine and of Compose, as long as either does not answer."""
    if _answer("docker", "compose", "version") and _which("dockerd", "docker"):
        return []
    return ["docker engine with compose"]


def _install(host: Host) -> None:
    """Raises Refused: no apt here, a package is not to be had, or the release's engine is too old."""
    if not _which("apt-get"):
        wrong, fix = "is not here: only Debian and Ubuntu are set up", f"install {', '.join(_packages(host))}"
        raise Refused(Problem(field="apt-get", wrong=wrong, fix=fix))
    _apt("update")
    wanted = [name for name in _packages(host) if name in _commands(host)]
    if _engine():
        wanted += [name for names in ENGINE if (name := next(filter(_is_known, names), ""))]
    _apt("install", "--yes", "--no-install-recommends", *wanted)
    # Not `docker version`, which fails while the engine is still starting.
    found = re.search(r"\d+", _answer("docker", "--version"))
    if not found or int(found[0]) < OLDEST_ENGINE:
        wrong = (
            f"this release has {found[0] if found else 'none'}, and {OLDEST_ENGINE} is the oldest that works"
        )
        fix = "install Docker's own packages: https://docs.docker.com/engine/install/"
        raise Refused(Problem(field="docker", wrong=wrong, fix=fix, next="sudo make setup-host"))


def _clock(_host: Host) -> list[str]:
    active = any(_answer("systemctl", "is-active", name) == "active" for name in CLOCKS)
    return [] if active else ["a service that sets the clock"]


def _set_clock(_host: Host) -> None:
    there = next((n for n in CLOCKS if _answer("systemctl", "cat", n)), None)
    if not there:
        _apt("install", "--yes", "--no-install-recommends", there := CLOCKS[0])
    systemctl("enable", "--now", there)


def _services(host: Host) -> list[str]:
    wanted = ("docker.service", f"{host.place.project}-firewall.service", "apt-daily-upgrade.timer")
    return [f"{name} from the start on" for name in wanted if not _runs(name)]


def _start_services(host: Host) -> None:
    names = [line.split(" ")[0] for line in _services(host)]
    systemctl("enable", "--now", "--quiet", *names)


def _runs(unit: str) -> bool:
    enabled = _answer("systemctl", "is-enabled", unit) in ("enabled", "static", "generated")
    return enabled and _answer("systemctl", "is-active", unit) == "active"


def _user(host: Host) -> list[str]:
    name = host.choices.user
    if not name:
        return []
    missing = [] if _which("sudo") else ["sudo"]
    if not _answer("id", "-u", name):
        missing.append(f"user {name}")
    elif "docker" not in _answer("id", "-nG", name).split():
        missing.append(f"user {name} in the group docker")
    return missing


def _make_user(host: Host) -> None:
    """Without a password; the operator puts the public key into ~/.ssh/authorized_keys."""
    name = host.choices.user
    if not _which("sudo"):
        _apt("install", "--yes", "--no-install-recommends", "sudo")
    if not _answer("id", "-u", name):
        _call("useradd", "--create-home", "--shell", "/bin/bash", name)
    _call("usermod", "--append", "--groups", "docker", name)
    account = pwd.getpwnam(name)
    keys = Path(account.pw_dir) / ".ssh"
    keys.mkdir(mode=0o700, exist_ok=True)
    (keys / "authorized_keys").touch(mode=0o600)
    for path in (keys, keys / "authorized_keys"):
        os.chown(path, account.pw_uid, account.pw_gid)


def _folders(host: Host) -> list[str]:
    return [f"{path}/" for path, _ in _wanted_folders(host) if not path.is_dir() or _is_of_another(path)]


def _make_folders(host: Host) -> None:
    for path, mode in _wanted_folders(host):
        if not path.is_dir():
            path.mkdir(parents=True, mode=mode)
        if _is_of_another(path):
            os.chown(path, OWNERS[path.name], OWNERS[path.name])


def _is_of_another(path: Path) -> bool:
    return path.stat().st_uid != OWNERS.get(path.name, path.stat().st_uid)


def _wanted_folders(host: Host) -> list[tuple[Path, int]]:
    roots = {"hdd": host.place.hdd, "ssd": host.place.ssd}
    return [(roots[disk] / name, mode) for disk, names in FOLDERS.items() for name, mode in names.items()]


def _env_mode(host: Host) -> list[str]:
    """It may hold secrets until `make setup` took them over."""
    path = host.place.repo / ".env"
    if not path.exists() or stat.S_IMODE(path.stat().st_mode) & 0o077 == 0:
        return []
    return [f"{path} closed to others (mode 0600)"]


def _close_env(host: Host) -> None:
    (host.place.repo / ".env").chmod(0o600)


def _key(host: Host) -> list[str]:
    return ssh.differs(host.place.project, host.choices.key)


def _write_key(host: Host) -> None:
    ssh.write(host.place.project, host.choices.key)


PACKAGES = Part("packages", _packages, _install)
# After the files, which some of these need.
PARTS = (
    Part("services", _services, _start_services),
    Part("clock", _clock, _set_clock),
    Part("user", _user, _make_user),
    Part("key", _key, _write_key),
    Part("folders", _folders, _make_folders),
    Part("settings", _env_mode, _close_env),
)


def ssh_ports() -> tuple[str, ...]:
    """The ports that sshd answers on, with the one of this very session: a firewall must not cut it."""
    said = _answer("sshd", "-T")
    found = set(re.findall(r"^port (\d+)$", said, re.MULTILINE)) or ({"22"} if _which("sshd") else set())
    session = os.environ.get("SSH_CONNECTION", "").split()
    return tuple(sorted(found | set(session[3:4]), key=int))


def cut_off(ports: tuple[str, ...]) -> dict[str, str]:
    """What answers strangers now and would not behind the firewall: TCP ports and their programs."""
    found = {}
    for line in _answer("ss", "-Htlnp").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        program = "".join(re.findall(r'\(\("([^"]+)"', line)) or "?"
        local = address.partition("%")[0].strip("[]").startswith(("127.", "::1"))
        # What the engine publishes is forwarded, which this firewall leaves alone.
        if not local and port not in ports and program != "docker-proxy":
            found[port] = program
    return found


def _is_known(package: str) -> bool:
    return "Candidate: (none)" not in (said := _answer("apt-cache", "policy", package)) and bool(said)


def _which(*words: str) -> bool:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return any(shutil.which(word, path=path) for word in words)


def _apt(*words: str) -> None:
    _call("apt-get", "--quiet=2", *words)


def _call(*words: str) -> None:
    """Raises Refused with the last lines of what it said."""
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        words, env=environ, capture_output=True, text=True, timeout=APT_SECONDS, check=False
    )
    if done.returncode:
        wrong = f"failed with exit code {done.returncode}; what it said stands above"
        problem = Problem(" ".join(words[:3]), wrong, "fix what it names, then run the same command again")
        raise Refused(problem, details=(done.stdout + done.stderr)[-2000:])


def _answer(*words: str) -> str:
    """What a command says; nothing when it fails or is not there."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PATH": path}
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
