"""Whether the ports of the local stack are free."""

import errno
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from mailctl.core.errors import Problem, Refused


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
