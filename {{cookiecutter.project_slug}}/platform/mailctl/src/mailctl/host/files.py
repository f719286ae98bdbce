"""The host's other files as text: firewall, updates, logs, sudo. Nothing here touches the host."""

import json
from dataclasses import dataclass
from pathlib import Path

from mailctl.core.errors import Problem, Refused
from mailctl.host.ssh import Network
from mailctl.host.units import Place

ETC = Path("/etc")
# As in docker-compose.yml, for containers that do not say it themselves.
DOCKER_LOGS = {"max-size": "10m", "max-file": "5"}
# What the engines of several hosts say to each other, https://docs.docker.com/engine/swarm/swarm-tutorial/:
# managers, who is there, and the overlays' packets. ESP carries those of an encrypted one.
SWARM = {"tcp": ("2377", "7946"), "udp": ("4789", "7946")}
FAMILIES = ("ip", "ip6")


@dataclass(frozen=True)
class Choices:
    """What the operator decides: ports that strangers may reach (22, 51820/udp), and who logs in over SSH.

    `ssh` are those of `ports` that only `sources` reach, if there are any; `key`: see mailctl.host.ssh.key.
    `hosts` are the addresses of nodes.yml, which alone reach the ports of the Swarm.
    """

    ports: tuple[str, ...] = ()
    user: str = ""
    ssh: tuple[str, ...] = ()
    sources: tuple[Network, ...] = ()
    key: str = ""
    hosts: tuple[Network, ...] = ()


def firewall(place: Place) -> Path:
    return ETC / f"{place.project}.nft"


def firewall_unit(place: Place) -> str:
    return f"{place.project}-firewall.service"


def docker_settings() -> Path:
    return ETC / "docker/daemon.json"


def updates(place: Place) -> Path:
    return ETC / f"apt/apt.conf.d/52{place.project}"


def journal(place: Place) -> Path:
    return ETC / f"systemd/journald.conf.d/{place.project}.conf"


def sudo(place: Place) -> Path:
    return ETC / f"sudoers.d/{place.project}"


def texts(place: Place, choices: Choices) -> dict[Path, str]:
    """Every file but the units by its path; each begins with the mark of this repository."""
    found = {
        firewall(place): _rules(place, choices),
        updates(place): _updates(place),
        journal(place): f"{place.mark}\n[Journal]\nSystemMaxUse=1G\nMaxRetentionSec=3month\n",
    }
    if choices.user:
        found[sudo(place)] = _sudo(place, choices.user)
    return found


def names(place: Place) -> tuple[Path, ...]:
    """Where `texts` may write, whatever is chosen; units are found by their own names."""
    return firewall(place), updates(place), journal(place), sudo(place)


def docker(found: str | None, several: bool = False) -> str:
    """The engine's settings with a bound on logs; all others stay. Raises Refused when they do not parse.

    With `several` hosts also what a Swarm has no setting of a service for: nobody gains rights by a program.
    """
    try:
        settings = json.loads(found or "{}")
        if several and settings.get("no-new-privileges") is not True:
            settings["no-new-privileges"] = True
            found = json.dumps(settings, indent=2) + "\n"
        # A driver of the operator's own choice (journald, local, …) keeps its own options.
        if settings.get("log-driver", "json-file") != "json-file":
            return found or ""
        options = DOCKER_LOGS | settings.get("log-opts", {})
    except (ValueError, AttributeError, TypeError) as error:
        wrong, fix = f"is no JSON object: {error}", "fix it; the engine does not start with it either"
        raise Refused(Problem(field=str(docker_settings()), wrong=wrong, fix=fix)) from None
    if found and settings.get("log-opts") == options and "log-driver" in settings:
        return found
    return json.dumps({**settings, "log-driver": "json-file", "log-opts": options}, indent=2) + "\n"


def _rules(place: Place, choices: Choices) -> str:
    """A table of its own, replaced in one step: the engine's rules are not touched, nor what it forwards."""
    table = f"inet {place.project.replace('-', '_')}"
    kept = choices.ssh if choices.sources else ()
    ports = [_split(port) for port in choices.ports if port not in kept]
    doors = [_door(kind, [port for port, what in ports if what == kind]) for kind in ("tcp", "udp")]
    doors += [_door("tcp", [*kept], family, choices.sources) if kept else "" for family in FAMILIES]
    open_ports = "".join(f"    {line}\n" for line in doors if line)
    swarm = "".join(f"    {line}\n" for line in _swarm(choices.hosts) if line)
    return f"""#!/usr/sbin/nft -f
{place.mark}
# Who may reach this host itself. Mail and web come through the tunnel, which this host opens from inside.
table {table}
delete table {table}
table {table} {{
  chain input {{
    type filter hook input priority filter; policy drop;
    ct state invalid drop
{swarm}    ct state established,related accept
    iifname "lo" accept
    meta l4proto {{ icmp, ipv6-icmp }} accept
    udp sport 67 udp dport 68 accept
    udp sport 547 udp dport 546 accept
{open_ports}  }}
}}
"""


def _swarm(hosts: tuple[Network, ...]) -> list[str]:
    """Before what is open already is let in: a host that leaves nodes.yml is cut off at once."""
    doors = []
    for family in FAMILIES:
        doors += [_door(kind, [*wanted], family, hosts) for kind, wanted in SWARM.items()]
        doors.append(_accept(family, hosts, "meta l4proto esp"))
    others = 'iifname != "lo" {} dport {{ {} }} drop'
    return [*doors, *(others.format(kind, ", ".join(wanted)) for kind, wanted in SWARM.items() if hosts)]


def _door(kind: str, ports: list[str], family: str = "", sources: tuple[Network, ...] = ()) -> str:
    what = f"{kind} dport {{ {', '.join(sorted(ports, key=int))} }}" if ports else ""
    return _accept(family, sources, what) if family else f"{what} accept" * bool(ports)


def _accept(family: str, sources: tuple[Network, ...], what: str) -> str:
    of_family = [str(each) for each in sources if {4: "ip", 6: "ip6"}[each.version] == family]
    return f"{family} saddr {{ {', '.join(of_family)} }} {what} accept" if of_family and what else ""


def _split(port: str) -> tuple[str, str]:
    number, _, kind = port.partition("/")
    return number, kind or "tcp"


def unit(place: Place) -> str:
    """The firewall's unit: there before the network is, and reloaded without a moment in which it is open."""
    rules, table = firewall(place), place.project.replace("-", "_")
    return f"""{place.mark}
[Unit]
Description={place.project}: firewall
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {rules}
ExecReload=/usr/sbin/nft -f {rules}
ExecStop=/usr/sbin/nft delete table inet {table}

[Install]
WantedBy=sysinit.target
"""


def _updates(place: Place) -> str:
    return f"""{place.mark}
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
APT::Periodic::AutocleanInterval "7";
// A restart is the operator's decision: mail is down meanwhile.
Unattended-Upgrade::Automatic-Reboot "false";
"""


def _sudo(place: Place, user: str) -> str:
    why = "# Members of the group docker are root already: this only says so."
    return f"{place.mark}\n{why}\n{user} ALL=(ALL) NOPASSWD: ALL\n"
