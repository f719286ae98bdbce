"""Several hosts (nodes.yml), and what tasks of theirs are called. A repository without that file has one."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

FILE = "nodes.yml"
#: In docker-compose.yml: one service a member, of which each host has one at most (mailctl/swarm/model.py).
PER = "x-per"
KINDS = ("database", "shard")


def several(context: Context) -> bool:
    """Whether this repository is for several hosts."""
    return (context.repo / FILE).is_file()


def recreated(context: Context, services: Iterable[str]) -> str:
    """The command by which services get containers that read changed secrets."""
    if several(context):
        return ".venv/bin/mailctl swarm deploy"
    return f"docker compose up -d --force-recreate {' '.join(services)}"


def rows(context: Context) -> list[dict[str, Any]]:
    """The hosts as nodes.yml has them; none without it. Raises Refused: it cannot be read."""
    if not several(context):
        return []
    found = _parsed(context.repo / FILE).get("nodes") or []
    if not all(isinstance(row, dict) and {"name", "address"} <= row.keys() for row in found):
        raise Refused(_unreadable(FILE, "a host has no name or no address"))
    return list(found)


def here(context: Context) -> dict[str, Any] | None:
    """This host as nodes.yml has it; None on a server of one. Raises Refused: it does not have it."""
    if not several(context):
        return None
    from mailctl.core.engine import connected

    with connected() as engine:
        name = engine.name
    for row in rows(context):
        if row["name"] == name:
            return row
    raise Refused(Problem(FILE, "does not have this host", f"add it to {FILE}, on every host", value=name))


def members(context: Context) -> dict[str, str]:
    """The services of members (mariadb-2, dovecot-store-b), by what docker-compose.yml calls them."""
    services, hosts = _parsed(context.repo / "docker-compose.yml").get("services") or {}, rows(context)
    return {
        f"{base}-{row[kind]}": base
        for base, service in services.items()
        if (kind := (service or {}).get(PER))
        for row in hosts
        if row.get(kind) is not None
    }


def homes(context: Context) -> dict[str, str]:
    """The host of each service of a member, by the name of the service."""
    by = {
        (str(row[kind])): row["name"] for row in rows(context) for kind in KINDS if row.get(kind) is not None
    }
    return {name: by[name[len(base) + 1 :]] for name, base in members(context).items()}


def store(context: Context) -> str:
    """The service that has the mailboxes of this host on its disk."""
    return "dovecot-store" if several(context) else "dovecot"


def _parsed(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise Refused(_unreadable(path.name, " ".join(str(error).split()))) from None
    if not isinstance(found, dict):
        raise Refused(_unreadable(path.name, "it holds no mapping"))
    return found


def _unreadable(name: str, why: str) -> Problem:
    return Problem(name, f"cannot be read: {why}", "make check says what is wrong")
