"""From a fresh host to a ready one, in order: packages, then (cli) files, then what needs both."""

import re
import subprocess
from ipaddress import ip_network

from mailctl.agent import setup
from mailctl.core import hosts
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.host import files, install, parts, ssh
from mailctl.host.files import Choices
from mailctl.host.parts import Host, Part
from mailctl.host.units import Place

PORT = re.compile(r"([1-9]\d{0,4})(/(tcp|udp))?")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def host(context: Context, place: Place) -> Host:
    """The host with its operator's choices. Raises Refused for a choice that cannot be meant."""
    words = context.setting("HOST_OPEN_PORTS").replace(",", " ").split()
    for word in words:
        found = PORT.fullmatch(word)
        if not found or int(found[1]) > 65535:
            fix = "write ports such as 443 or 51820/udp, with spaces between them"
            raise Refused(Problem("HOST_OPEN_PORTS", "is no port", fix, value=word))
    user = context.setting("HOST_USER")
    if user and not USER.fullmatch(user):
        raise Refused(Problem("HOST_USER", "is no name of a user", "write one such as deploy", value=user))
    doors = parts.ssh_ports()
    ports = dict.fromkeys((*doors, *(word.removesuffix("/tcp") for word in words)))
    sources = ssh.sources(context)
    key = ssh.key(context, sources)
    user = "" if user == "root" else user
    return Host(place, Choices(tuple(ports), user, doors, sources, key, _hosts(context)))


def _hosts(context: Context) -> tuple[ssh.Network, ...]:
    """The addresses of several hosts; none of one alone. Raises Refused: one of nodes.yml is none."""
    found = []
    for row in hosts.rows(context):
        try:
            found.append(ip_network(str(row["address"])))
        except ValueError:
            wrong, fix = "is no IP address", "write one such as 10.0.0.1"
            raise Refused(Problem(f"{hosts.FILE} address", wrong, fix, value=str(row["address"]))) from None
    return tuple(found)


def prepare(context: Context, host: Host, look: bool) -> list[str]:
    """Bring the packages; then nothing may be cut off by the firewall that comes next. Raises Refused."""
    if not look:
        install.check_host()
    missing = _bring(context, host, parts.PACKAGES, look)
    # Before the units, which call its mailctl.
    agent = Part("agent", lambda _: setup.missing(context), lambda _: setup.repair(context))
    missing += _bring(context, host, agent, look)
    swarm = files.SWARM["tcp"] if host.choices.hosts else ()
    if strangers := parts.cut_off((*host.choices.ports, *swarm)):
        what = ", ".join(f"{port} ({program})" for port, program in sorted(strangers.items()))
        wrong = "answers on every address and would be cut off by the firewall"
        fix = "stop it, let it listen on 127.0.0.1, or name its port in HOST_OPEN_PORTS of .env"
        raise Refused(Problem("TCP port", wrong, fix, value=what, next="sudo make setup-host"))
    return missing


def finish(context: Context, host: Host, todo: list[install.Change], look: bool) -> list[str]:
    """Bring everything that needs the files to be there, and let the engine read its settings."""
    missing = [text for part in parts.PARTS for text in _bring(context, host, part, look)]
    if not look and any(change.path == files.docker_settings() for change in todo):
        _restart_engine(context)
    return missing


def _bring(context: Context, host: Host, part: Part, look: bool) -> list[str]:
    missing = part.missing(host)
    for text in missing:
        context.out.row("would bring" if look else "bring", text, 12)
    if missing and not look:
        part.repair(host)
        if left := part.missing(host):
            fix = "journalctl --since -5min shows why; then run the same command again"
            raise Refused(Problem(part.name, f"still missing: {', '.join(left)}", fix))
    return missing


def _restart_engine(context: Context) -> None:
    """Only while nothing runs: these settings are worth no interruption."""
    running = subprocess.run(["docker", "ps", "--quiet"], capture_output=True, text=True, check=False)
    if running.returncode == 0 and not running.stdout.strip():
        install.systemctl("restart", "docker")
    else:
        context.out.warn(
            f"the engine reads {files.docker_settings()} at its next start: containers run, and keep running"
        )
