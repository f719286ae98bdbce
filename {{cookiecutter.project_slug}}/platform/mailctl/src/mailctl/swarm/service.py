"""One service of the model as a service of the stack, by an allow-list: each key is mapped, or it is refused.

`docker stack deploy` warns of some keys that it cannot do, and drops others silently. So nothing passes here
that is not named.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailctl.core.errors import Problem, Refused
from mailctl.swarm import objects, tmpfs
from mailctl.swarm.model import Service

#: What a stack does as compose does it.
SAME = frozenset({
    "command", "entrypoint", "environment", "user", "hostname", "init", "read_only", "cap_add", "cap_drop",
    "sysctls", "ulimits", "healthcheck", "stop_grace_period", "stop_signal", "working_dir", "dns", "logging",
})  # fmt: skip
#: What says how a service is built, started in order or chosen: it has had its effect before this.
DONE = frozenset({"image", "build", "depends_on", "profiles", "pull_policy"})
RESTART = {"unless-stopped": "any", "always": "any", "on-failure": "on-failure", "no": "none"}
NO_PRIVILEGES = ["no-new-privileges:true"]
#: One task after the other, the old one first; what does not become healthy is rolled back by the engine.
UPDATE = {"parallelism": 1, "order": "stop-first", "failure_action": "rollback", "monitor": "15s"}
ROLLBACK = {"parallelism": 1, "order": "stop-first", "failure_action": "pause", "monitor": "5s"}
#: What the model may say about an update. Stop-first: the folders in memory of a slot are its one task's.
ADJUSTABLE = {"parallelism", "delay", "monitor"}
#: The one address that a published port may name: a stack has no other.
EVERYWHERE = "0.0.0.0"  # noqa: S104 (what it is is said in the documents)
DEPLOY = {"resources", "replicas", "mode", "placement", "endpoint_mode", "update_config", "labels"}


@dataclass
class Rendered:
    """A service of the stack, and the volumes and objects that it brings along."""

    service: Service
    project: str
    repo: Path
    body: dict[str, Any] = field(default_factory=dict)
    volumes: dict[str, Any] = field(default_factory=dict)
    configs: dict[str, objects.Object] = field(default_factory=dict)

    def refuse(self, key: str, wrong: str, fix: str, value: object = None) -> Refused:
        place = f"{self.service.base}: {key}"
        return Refused(Problem(place, wrong, fix, value=None if value is None else str(value)))

    def allowed(self, key: str, given: Mapping[str, Any], names: set[str]) -> None:
        """Refuse what a mapping says beyond these names; empty values say nothing."""
        for name, value in given.items():
            if name not in names and value not in (None, {}, [], ""):
                wrong = "means nothing to a stack, or something else: it is not mapped"
                raise self.refuse(
                    f"{key}.{name}", wrong, f"take it out; mapped are {', '.join(sorted(names))}"
                )

    def mount_memory(self, folder: tmpfs.Tmpfs) -> None:
        key, made, mount = tmpfs.volume(self.project, self.service.name, folder)
        self.volumes[key] = made
        self.body.setdefault("volumes", []).append(mount)


def render(service: Service, project: str, repo: Path, image: str) -> Rendered:
    """The service as the stack has it, run from `image`. Raises Refused with service, key, why and fix."""
    made = Rendered(service, project, repo, {"image": image})
    made.body["deploy"] = {
        "mode": "replicated",
        "endpoint_mode": "dnsrr",
        "update_config": dict(UPDATE),
        "rollback_config": dict(ROLLBACK),
        "restart_policy": {"condition": "any", "delay": "2s"},
        "placement": {"constraints": [service.constraint] if service.constraint else []},
    }
    problems: list[Problem] = []
    for key, value in service.raw.items():
        try:
            if value is None or key in DONE:
                continue
            if key in SAME:
                made.body[key] = value
            elif key in HANDLED:
                HANDLED[key](made, value)
            else:
                wrong = "is not mapped: a stack drops it, warns of it, or does something else with it"
                raise made.refuse(key, wrong, "say it in another way, or map it in mailctl/swarm/service.py")
        except Refused as refusal:
            problems += refusal.problems
    if problems:
        raise Refused(*problems)
    _one_host_one_volume(made)
    return made


def _security(made: Rendered, value: Any) -> None:
    """Swarm has no such option for a service; each engine has it for all (preflight looks)."""
    if value != NO_PRIVILEGES:
        raise made.refuse("security_opt", "a stack cannot say that", f"write {NO_PRIVILEGES[0]} alone", value)


def _restart(made: Rendered, value: str) -> None:
    made.body["deploy"]["restart_policy"] = {"condition": RESTART[value.partition(":")[0]], "delay": "2s"}


def _networks(made: Rendered, value: Mapping[str, Any]) -> None:
    for name, settings in value.items():
        made.allowed(f"networks.{name}", settings or {}, {"aliases"})
    made.body["networks"] = dict(value)


def _ports(made: Rendered, value: list[dict[str, Any]]) -> None:
    for port in value:
        if port.get("host_ip", EVERYWHERE) != EVERYWHERE:
            fix = f"write {EVERYWHERE}, and let what is before each host say who may come"
            raise made.refuse("ports", "a stack publishes on every address of a host", fix, port["host_ip"])
        made.allowed("ports", port, {"target", "published", "protocol", "mode", "host_ip"})
        # On the host where a task runs: the ingress needs IPVS and hides who connects.
        kept = {"target": port["target"], "published": int(port["published"]), "mode": "host"}
        made.body.setdefault("ports", []).append(kept | {"protocol": port.get("protocol", "tcp")})


def _secrets(made: Rendered, value: list[dict[str, Any]]) -> None:
    for each in value:
        made.allowed("secrets", each, {"source", "target"})
        target = str(each.get("target", each["source"])).removeprefix("/run/secrets/")
        made.body.setdefault("secrets", []).append(
            {"source": each["source"], "target": target, "mode": 0o444}
        )


def _tmpfs(made: Rendered, value: list[str] | str) -> None:
    for each in [value] if isinstance(value, str) else value:
        made.mount_memory(tmpfs.parse(made.service.base, each))


def _volumes(made: Rendered, value: list[dict[str, Any]]) -> None:
    for mount in value:
        if mount["type"] == "bind":
            _bind(made, mount)
        elif mount["type"] == "volume" and mount.get("source"):
            made.allowed("volumes", mount, {"type", "source", "target", "read_only", "volume"})
            made.allowed("volumes.volume", mount.get("volume") or {}, {"nocopy"})
            made.body.setdefault("volumes", []).append(
                {k: v for k, v in mount.items() if v not in (None, {})}
            )
        else:
            fix = "name a volume, write a folder in memory into tmpfs:, or mount a file of the repository"
            raise made.refuse(
                "volumes", f"a mount of this kind is not mapped: {mount['type']}", fix, mount["target"]
            )


def _bind(made: Rendered, mount: Mapping[str, Any]) -> None:
    """A file or folder of the repository: other hosts have no such path, so that it becomes configs."""
    place, target = f"{made.service.base}: volumes {mount['target']}", str(mount["target"]).rstrip("/")
    source = Path(str(mount["source"]).replace("$$", "$"))
    made.allowed("volumes", mount, {"type", "source", "target", "read_only", "bind"})
    if not mount.get("read_only"):
        raise made.refuse(
            "volumes", "is a file or folder of one host that may be written", "mount it :ro", source
        )
    if not source.is_relative_to(made.repo):
        raise made.refuse(
            "volumes", "is outside the repository: other hosts may not have it", "use a volume", source
        )
    for inside, path in objects.files(source, place):
        if inside and not any(mask["target"] == target for mask in made.body.get("volumes", ())):
            made.mount_memory(tmpfs.mask(target))
        label = path.relative_to(made.repo).as_posix().replace("/", ".")
        kept = objects.made("config", made.project, label, objects.read(path, place), f"{place}: {path.name}")
        made.configs[kept.name] = kept
        where = f"{target}/{inside}" if inside else target
        entry = {"source": kept.name, "target": where, "mode": objects.mode(path)}
        made.body.setdefault("configs", []).append(entry)


def _deploy(made: Rendered, value: Mapping[str, Any]) -> None:
    made.allowed("deploy", value, DEPLOY)
    deploy, placement = made.body["deploy"], dict(value.get("placement") or {})
    made.allowed("deploy.placement", placement, {"constraints", "preferences", "max_replicas_per_node"})
    made.allowed("deploy.update_config", value.get("update_config") or {}, ADJUSTABLE)
    made.allowed("deploy.resources", value.get("resources") or {}, {"limits", "reservations"})
    if value.get("endpoint_mode", "dnsrr") != "dnsrr":
        raise made.refuse("deploy.endpoint_mode", "needs IPVS in every kernel", "write dnsrr, or nothing")
    constraints = deploy["placement"]["constraints"] + list(placement.pop("constraints", None) or [])
    if made.service.constraint and (value.get("replicas", 1) != 1 or value.get("mode") == "global"):
        raise made.refuse("deploy", "is one task a member already", "leave replicas and mode out")
    deploy["placement"] = {**placement, "constraints": constraints}
    deploy["update_config"] = UPDATE | (value.get("update_config") or {})
    deploy |= {key: value[key] for key in ("mode", "replicas", "labels") if value.get(key) is not None}
    if resources := value.get("resources"):
        limits = {k: str(v) if k == "cpus" else v for k, v in (resources.get("limits") or {}).items()}
        deploy["resources"] = {**resources, "limits": limits}


def _one_host_one_volume(made: Rendered) -> None:
    """Two tasks on one host would write into the same volume of the engine's."""
    deploy = made.body["deploy"]
    several = deploy["mode"] == "replicated" and deploy.get("replicas", 1) > 1
    apart = deploy["placement"].get("max_replicas_per_node") == 1
    for mount in made.body.get("volumes", ()):
        if several and not apart and not mount.get("read_only") and not mount["source"].startswith("tmpfs-"):
            wrong = "two tasks of one host would write into it"
            fix = "add deploy.placement.max_replicas_per_node: 1, or deploy.mode: global"
            raise made.refuse("volumes", wrong, fix, mount["source"])


HANDLED: Mapping[str, Callable[[Rendered, Any], None]] = {
    "security_opt": _security,
    "restart": _restart,
    "networks": _networks,
    "ports": _ports,
    "secrets": _secrets,
    "tmpfs": _tmpfs,
    "volumes": _volumes,
    "deploy": _deploy,
}
