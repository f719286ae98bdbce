"""The stack file: what `docker stack deploy` is given, and the configs and secrets that it refers to."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml

from mailctl.core.errors import Problem, Refused
from mailctl.swarm import objects, turns
from mailctl.swarm.inventory import Inventory
from mailctl.swarm.model import Model
from mailctl.swarm.service import Rendered, render

T = TypeVar("T")
NO_MASQUERADE = {"com.docker.network.bridge.enable_ip_masquerade": "false"}


@dataclass(frozen=True)
class Stack:
    """The whole stack as data, its objects, and its services in waves: each after those it needs."""

    name: str
    body: Mapping[str, Any]
    objects: tuple[objects.Object, ...]
    waves: tuple[tuple[str, ...], ...]

    @property
    def text(self) -> str:
        return yaml.safe_dump(dict(self.body), sort_keys=False, width=1000)

    def part(self, names: Iterable[str]) -> str:
        """The file with only these services."""
        return part(self.body, names)


def part(body: Mapping[str, Any], names: Iterable[str]) -> str:
    """A stack file with only these of its services."""
    wanted = set(names)
    services = {name: each for name, each in body["services"].items() if name in wanted}
    return yaml.safe_dump({**body, "services": services}, sort_keys=False, width=1000)


def stack(model: Model, inventory: Inventory, repo: Path, images: Mapping[str, str]) -> Stack:
    """Render everything; `images` gives the reference of each service of the file.

    Raises Refused with every problem that was found, not only the first.
    """
    problems: list[Problem] = []
    used = dict.fromkeys(each["source"] for one in model.services for each in one.raw.get("secrets") or ())
    rendered = (partial(render, one, model.project, repo, images[one.base]) for one in model.services)
    done = list(_tried(rendered, problems))
    parts = list(_tried((partial(each, model, inventory) for each in (_networks, _volumes)), problems))
    secrets = list(_tried((partial(_secret, model, key) for key in used), problems))
    if problems:
        raise Refused(*dict.fromkeys(problems))
    return _whole(model, done, parts[0], parts[1], dict(zip(used, secrets, strict=True)))


def _tried(calls: Iterable[Callable[[], T]], problems: list[Problem]) -> Iterator[T]:
    """What each call returns; what one refuses is noted, and the next one is made."""
    for call in calls:
        try:
            yield call()
        except Refused as refusal:
            problems += refusal.problems


def _whole(
    model: Model, done: list[Rendered], networks: dict[str, Any], volumes: dict[str, Any],
    secrets: Mapping[str, objects.Object],
) -> Stack:  # fmt: skip
    configs = {name: each for rendered in done for name, each in rendered.configs.items()}
    body: dict[str, Any] = {
        "services": {rendered.service.name: rendered.body for rendered in done},
        "networks": networks,
        "volumes": volumes | {key: made for rendered in done for key, made in rendered.volumes.items()},
        "configs": {name: {"name": name, "external": True} for name in configs},
        "secrets": {key: {"name": each.name, "external": True} for key, each in secrets.items()},
    }
    for each in body["services"].values():
        each.get("volumes", []).sort(key=lambda mount: _sorted(body["volumes"], mount))
    levels = sorted({service.level for service in model.services})
    names = [[service.name for service in model.services if service.level == level] for level in levels]
    waves = tuple(wave for level in names for wave in turns.waves(level))
    return Stack(model.project, body, (*configs.values(), *secrets.values()), waves)


def _sorted(volumes: Mapping[str, Any], mount: Mapping[str, Any]) -> tuple[str, str]:
    """As `docker service update` sorts mounts: what that started by force, no deployment starts once more."""
    source = str(mount["source"])
    return volumes.get(source, {}).get("name", source), mount["target"]


def _secret(model: Model, key: str) -> objects.Object:
    place, settings = f"secrets: {key}", model.secrets[key]
    if set(settings) - {"name", "file"} or "file" not in settings:
        raise Refused(Problem(place, "a secret is a file, and nothing else", "write {file: PATH}"))
    # The engine takes no empty one. An optional secret that is not set is a line without text then.
    data = objects.read(Path(str(settings["file"]).replace("$$", "$")), place) or b"\n"
    return objects.made("secret", model.project, key, data, place)


def _networks(model: Model, inventory: Inventory) -> dict[str, Any]:
    made = {}
    for key, settings in model.networks.items():
        wanted = {k: v for k, v in (settings or {}).items() if v not in (None, {}, False)}
        if wanted.get("driver_opts") == NO_MASQUERADE:
            # It has published ports. Here it is a way out as well: an overlay leads out as its host does.
            del wanted["driver_opts"]
        if others := sorted(set(wanted) - {"name", "internal"}):
            wrong = "is not mapped: an overlay has no such setting, or means something else by it"
            raise Refused(Problem(f"networks: {key}.{others[0]}", wrong, "take it out for several hosts"))
        made[key] = {"driver": "overlay", "name": wanted["name"], "internal": bool(wanted.get("internal"))}
        if inventory.encrypted:
            made[key]["driver_opts"] = {"encrypted": ""}
    return made


def _volumes(model: Model, _inventory: Inventory) -> dict[str, Any]:
    made = {}
    for key, settings in model.volumes.items():
        wanted = {k: v for k, v in (settings or {}).items() if v not in (None, {}, False)}
        if others := sorted(set(wanted) - {"name", "driver", "driver_opts"}):
            wrong = "is not mapped: a volume here is of each host's own engine"
            raise Refused(Problem(f"volumes: {key}.{others[0]}", wrong, "take it out"))
        if wanted.get("driver", "local") != "local":
            raise Refused(Problem(f"volumes: {key}.driver", "is not on every engine", "write driver: local"))
        made[key] = wanted
    return made
