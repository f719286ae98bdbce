"""The ports of the local stack: where they come from, and whether they are free."""

import errno
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from mailctl.context import Context
from mailctl.errors import Problem, Refused

DEFAULTS: dict[str, int] = {
    "LOCAL_WEB_PORT": 8080,
    "LOCAL_SINK_PORT": 8025,
    "LOCAL_IMAPS_PORT": 1993,
    "LOCAL_SUBMISSION_PORT": 1587,
    "LOCAL_SUBMISSIONS_PORT": 1465,
    "LOCAL_API_PORT": 8000,
}


def read_ports(context: Context) -> dict[str, int]:
    """The port of each LOCAL_*_PORT variable. Raises Refused for what is no port and for one used twice."""
    ports: dict[str, int] = {}
    problems: list[Problem] = []
    for name, default in DEFAULTS.items():
        text = context.setting(name, str(default))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
            problems.append(Problem(name, "is not a port", "use a number from 1 to 65535", value=text))
            continue
        twin = next((other for other, port in ports.items() if port == int(text)), None)
        if twin:
            problems.append(Problem(name, f"is the same port as {twin}", "give each its own", value=text))
        ports[name] = int(text)
    if problems:
        raise Refused(*problems)
    return ports


def published(config: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Host address and port of everything the merged compose configuration publishes over TCP."""
    places = (port for service in config["services"].values() for port in service.get("ports", []))
    return sorted(
        {
            (place.get("host_ip", ""), int(place["published"]))
            for place in places
            if str(place.get("published", "")).isdigit() and place.get("protocol", "tcp") == "tcp"
        }
    )


def refuse_busy(wanted: Iterable[tuple[str, int]], own: Iterable[int], names: Mapping[str, int]) -> None:
    """Raises Refused for every wanted port that something else than our own containers listens on."""
    mine = set(own)
    problems = []
    for address, port in wanted:
        reason = None if port in mine else _occupied(address, port)
        if reason:
            problems.append(_busy(address, port, reason, names))
    if problems:
        raise Refused(*problems)


def _busy(address: str, port: int, reason: str, names: Mapping[str, int]) -> Problem:
    variable = next((name for name, number in names.items() if number == port), None)
    free = f"use another port, e.g. {variable}={_suggestion(port)} make local; or " if variable else ""
    return Problem(
        field=variable or "port",
        value=f"{address or '*'}:{port}",
        wrong=f"{reason}; nothing has been started",
        fix=f"{free}end what uses it (ss -ltnp 'sport = :{port}')",
        next="make local",
    )


def _suggestion(port: int) -> int:
    """A free port nearby to name in the message."""
    candidates = range(port + 10000 if port < 55000 else port - 10000, 65536)
    return next((number for number in candidates if not _occupied("127.0.0.1", number)), 0)


def _occupied(address: str, port: int) -> str | None:
    """Why the port cannot be listened on, None when it can (or when only the engine may try)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            return None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is in use by another program"
            return f"cannot be listened on: {error.strerror}"
    return None
