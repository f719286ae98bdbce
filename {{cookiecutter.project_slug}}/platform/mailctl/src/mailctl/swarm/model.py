"""The compose model of the repository, with one service a member where `x-per` asks for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from mailctl.core.compose import Compose
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.swarm.inventory import DATABASE, SHARD, Inventory

PER = "x-per"
#: What compose puts in the place of ${MEMBER}, and this module then replaces; no value has it by chance.
PLACEHOLDER = "@MEMBER@"
LABELS = {"database": DATABASE, "shard": SHARD}


@dataclass(frozen=True)
class Service:
    """A service as compose understands it: `base` is its name in the file, `level` the waves before it."""

    name: str
    base: str
    level: int
    raw: Mapping[str, Any]
    constraint: str | None = None

    @property
    def constraints(self) -> set[str]:
        """Where it may run: as a member, and as the file says."""
        placement = (self.raw.get("deploy") or {}).get("placement") or {}
        own = {self.constraint} if self.constraint else set()
        return own | {str(each).replace(" ", "") for each in placement.get("constraints") or ()}


@dataclass(frozen=True)
class Model:
    """What runs: the project's name, its services, and what those refer to by name."""

    project: str
    services: tuple[Service, ...]
    networks: Mapping[str, Any]
    volumes: Mapping[str, Any]
    secrets: Mapping[str, Any]


def compose(context: Context) -> Compose:
    """Docker Compose for this repository: the operator's files, and a mark in the place of ${MEMBER}."""
    return Compose(context.repo, environ={**context.environ, "MEMBER": PLACEHOLDER})


def read(context: Context, inventory: Inventory) -> Model:
    """Ask compose for the merged model. Raises Refused: compose refuses it, or `x-per` cannot be followed."""
    # As YAML: the JSON form of Compose 2.26 leaves out a service's extensions.
    merged = yaml.safe_load(compose(context).run("config"))
    return of(merged, inventory)


def of(merged: Mapping[str, Any], inventory: Inventory) -> Model:
    """The model of a merged configuration."""
    raw: Mapping[str, Any] = merged["services"]
    found: dict[str, Service] = {}
    for name in raw:
        for service in _members(name, raw, inventory):
            if service.name in found:
                wrong = f"is also what {found[service.name].base} becomes for one of its members"
                raise Refused(Problem(f"service {service.name}", wrong, "give one of them another name"))
            found[service.name] = service
    parts = (merged.get(key) or {} for key in ("networks", "volumes", "secrets"))
    return Model(str(merged["name"]), tuple(found.values()), *parts)


def _members(name: str, services: Mapping[str, Any], inventory: Inventory) -> Iterator[Service]:
    raw, level = dict(services[name]), _level(name, services, ())
    kind = raw.pop(PER, None)
    if kind is None:
        if PLACEHOLDER in str(raw):
            fix = f"take it out, or add {PER}: database or {PER}: shard"
            raise Refused(Problem(f"service {name}", f"says ${{MEMBER}} and has no {PER}", fix))
        yield Service(name, name, level, raw)
        return
    if kind not in LABELS:
        wrong, fix = "is neither database nor shard", f"write {PER}: database or {PER}: shard"
        raise Refused(Problem(f"service {name}: {PER}", wrong, fix, value=str(kind)))
    for member in inventory.members(kind):
        constraint = f"node.labels.{LABELS[kind]}=={member}"
        yield Service(f"{name}-{member}", name, level, _filled(raw, member), constraint)


def _filled(value: Any, member: str) -> Any:
    """The value with the member's name in the place of the mark."""
    if isinstance(value, dict):
        return {key: _filled(inner, member) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, member) for inner in value]
    return value.replace(PLACEHOLDER, member) if isinstance(value, str) else value


def _level(name: str, services: Mapping[str, Any], above: tuple[str, ...]) -> int:
    """0 for a service that needs none, else one more than what it needs. Compose has refused circles."""
    needed = [each for each in services[name].get("depends_on") or {} if each in services]
    return max(
        (_level(each, services, (*above, name)) + 1 for each in needed if each not in above), default=0
    )
