"""The state of the stack, from the services compose knows and the containers the engine has."""

import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mailctl.core.engine import ContainerState, Engine, Usage

ABSENT = "absent"
PARALLEL_MEASUREMENTS = 12


@dataclass(frozen=True)
class ServiceState:
    """One expected service and its container, None where the engine has none."""

    service: str
    container: ContainerState | None
    usage: Usage | None = None
    #: The image that the compose file names; what runs may be another one.
    pinned: str | None = None

    @property
    def ok(self) -> bool:
        return self.container is not None and self.container.ok

    @property
    def word(self) -> str:
        return self.container.word if self.container else ABSENT

    @property
    def uptime_seconds(self) -> int | None:
        """Seconds since the start of a running container."""
        found = self.container
        if found is None or found.status != "running" or found.started_at is None:
            return None
        return max(0, int((datetime.now(UTC) - found.started_at).total_seconds()))

    def as_dict(self) -> dict[str, object]:
        found, usage = self.container, self.usage
        return {
            "service": self.service,
            "ok": self.ok,
            "state": self.word,
            "image": found.image if found else None,
            "image_id": found.image_id if found else None,
            "pinned": self.pinned,
            "uptime_seconds": self.uptime_seconds,
            "restarts": found.restarts if found else None,
            "memory_bytes": usage.memory if usage else None,
            "memory_limit_bytes": found.memory_limit if found else None,
            "cpu_percent": usage.cpu_percent if usage else None,
            "ports": list(found.ports) if found else [],
        }


@dataclass(frozen=True)
class Disk:
    """A disk by its setting; sizes in bytes, None when the path is not there."""

    setting: str
    path: Path
    total: int | None
    free: int | None

    @property
    def used_percent(self) -> int | None:
        return round(100 * (1 - self.free / self.total)) if self.total and self.free is not None else None

    def as_dict(self) -> dict[str, object]:
        sizes = {"total_bytes": self.total, "free_bytes": self.free, "used_percent": self.used_percent}
        return {"setting": self.setting, "path": str(self.path), **sizes}


def services(engine: Engine, project: str, expected: Iterable[str]) -> list[ServiceState]:
    """Every expected service in the given order, then what runs beside them."""
    return arranged((ServiceState(one.service, one) for one in engine.containers(project)), expected)


def arranged(states: Iterable[ServiceState], expected: Iterable[str]) -> list[ServiceState]:
    """The states in the order in which they are expected, with those that have no container."""
    found: dict[str, list[ServiceState]] = {}
    for state in states:
        found.setdefault(state.service, []).append(state)
    names = dict.fromkeys([*expected, *sorted(found)])
    return [state for name in names for state in found.get(name, [ServiceState(name, None)])]


def measured(engine: Engine, states: list[ServiceState]) -> list[ServiceState]:
    """The same states with memory and processor use; measured at once, as each takes the engine a second."""
    with ThreadPoolExecutor(PARALLEL_MEASUREMENTS) as pool:
        usages = pool.map(lambda s: _usage(engine, s), states)
        return [replace(state, usage=usage) for state, usage in zip(states, usages, strict=True)]


def disk(setting: str, path: Path) -> Disk:
    """Size and free space of the file system that holds `path`."""
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return Disk(setting, path, None, None)
    return Disk(setting, path, usage.total, usage.free)


def _usage(engine: Engine, state: ServiceState) -> Usage | None:
    found = state.container
    return engine.usage(found.id) if found and found.status == "running" else None
