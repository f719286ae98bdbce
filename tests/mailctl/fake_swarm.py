"""A Swarm of three hosts in memory: it does what the docker command was seen to do."""

import json
from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import yaml

from mailctl.core.errors import Problem, Refused
from mailctl.swarm.docker import STACK_LABEL

HOSTS = ("mail1", "mail2", "mail3")
DIGEST = f"sha256:{'d' * 64}"
Options = dict[str, list[str]]


class Stopped(Exception):
    """What a test raises in the middle of the work."""


class FakeSwarm:
    """`run` answers as `mailctl.swarm.docker.run` does; `calls` has what was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        #: Services that do not get healthy, and those that the engine itself refuses.
        self.unhealthy: set[str] = set()
        self.refused: set[str] = set()
        #: The number of the call that fails, and how.
        self.fails_at: tuple[int, Exception] | None = None
        self.services: dict[str, dict[str, Any]] = {}
        self.kept: dict[str, dict[str, dict[str, Any]]] = {"config": {}, "secret": {}, "network": {}}
        self.probes = {host: {"no_new_privileges": True} for host in HOSTS}
        self.containers: list[dict[str, Any]] = []
        self.nodes = [_node(number, host) for number, host in enumerate(HOSTS, 1)]
        #: The host that is asked; what jobs did, with their environment; and hosts where they fail.
        self.here = HOSTS[0]
        self.jobs: list[tuple[str, dict[str, str]]] = []
        self.jobs_fail_on: set[str] = set()
        self.made = 0

    def run(self, *words: str, stdin: str | bytes | None = None, seconds: float = 0, errors: int = 0) -> str:
        self.calls.append(words)
        if self.fails_at and len(self.calls) == self.fails_at[0]:
            raise self.fails_at[1]
        names, options = _read(words)
        action = getattr(self, f"_{names[0]}_{names[1]}" if len(names) > 1 else f"_{names[0]}", None)
        if action is not None:
            found: str = action(names[2:], options, stdin)
            return found
        return self._object(names[0], names[1], names[2:], options, stdin)

    # ---- hosts, images, containers

    def _info(self, *_: Any) -> str:
        node = next((each for each in self.nodes if each["Description"]["Hostname"] == self.here), None)
        swarm = {"ControlAvailable": node is not None, "NodeID": node and node["ID"]}
        return json.dumps({"Name": self.here, "Swarm": swarm})

    def leads(self, host: str, dead: str = "") -> None:
        """Let a host lead, and be the one that is asked; another one may be down."""
        self.here = host
        for each in self.nodes:
            name = each["Description"]["Hostname"]
            each["ManagerStatus"]["Leader"] = name == host
            each["Status"]["State"] = "down" if name == dead else "ready"

    def _node_ls(self, *_: Any) -> str:
        return " ".join(each["ID"] for each in self.nodes)

    def _node_inspect(self, *_: Any) -> str:
        return json.dumps(self.nodes)

    def _image_inspect(self, names: list[str], *_: Any) -> str:
        return json.dumps([{"Id": f"sha256:{'e' * 64}", "RepoDigests": [f"r:5000/m/{names[0]}@{DIGEST}"]}])

    def _tag(self, *_: Any) -> str:
        return ""

    _push = _pull = _tag

    def _ps(self, *_: Any) -> str:
        return " ".join(each["Id"] for each in self.containers)

    def _inspect(self, *_: Any) -> str:
        if "--type" in self.calls[-1]:
            return json.dumps([task for each in self.services.values() for task in each["tasks"]])
        return json.dumps(self.containers)

    # ---- services and stacks

    def _service_ls(self, *_: Any) -> str:
        return " ".join(each["ID"] for each in self.services.values())

    def _service_inspect(self, *_: Any) -> str:
        return json.dumps(
            [{k: v for k, v in each.items() if k != "tasks"} for each in self.services.values()]
        )

    def _service_rm(self, names: list[str], *_: Any) -> str:
        for name in names:
            self.services.pop(name, None)
        return ""

    def _service_update(self, names: list[str], options: Options, _stdin: object) -> str:
        """By force: the same again, in another task."""
        assert "--force" in self.calls[-1]
        service = self.services[names[0]]
        service["PreviousSpec"] = deepcopy(service["Spec"])
        template = service["Spec"]["TaskTemplate"]
        template["ForceUpdate"] = template.get("ForceUpdate", 0) + 1
        service["tasks"] = [_task(service["ID"], template["ContainerSpec"], "running", "running", "")]
        return ""

    def _service_create(self, *_: Any) -> str:
        return ""

    def _service_logs(self, names: list[str], *_: Any) -> str:
        if "probe" not in names[0]:
            return "what it said last\n"
        said = {"peers": dict.fromkeys(HOSTS, 0.0), "failed": {}}
        return "".join(json.dumps({"node": host, **said, **own}) + "\n" for host, own in self.probes.items())

    def _stack_ps(self, *_: Any) -> str:
        return " ".join(
            f"task{number}" for each in self.services.values() for number in range(len(each["tasks"]))
        )

    def _stack_rm(self, names: list[str], *_: Any) -> str:
        self.services.clear()
        for kept in self.kept.values():
            for name in [name for name, each in kept.items() if each["Spec"]["Labels"].get(STACK_LABEL)]:
                del kept[name]
        return ""

    def _stack_deploy(self, names: list[str], options: Options, stdin: str) -> str:
        body = yaml.safe_load(stdin)
        for network in body["networks"].values():
            made = {
                "Name": network["name"],
                "Driver": "overlay",
                "Internal": network["internal"],
                "Options": {},
            }
            self.kept["network"].setdefault(
                network["name"], made | {"ID": network["name"], "Spec": {"Labels": {}}}
            )
        for name, service in body["services"].items():
            self._deploy(names[0], name, service, body)
        return ""

    def _deploy(self, stack: str, name: str, service: dict[str, Any], body: dict[str, Any]) -> None:
        if name in self.refused:
            raise refused("Must be at least 4MiB")
        configs = [{"ConfigName": each["source"]} for each in service.get("configs", ())]
        secrets = [
            {"SecretName": body["secrets"][each["source"]]["name"]} for each in service.get("secrets", ())
        ]
        for kind, each in [("config", c["ConfigName"]) for c in configs] + [
            ("secret", s["SecretName"]) for s in secrets
        ]:
            if each not in self.kept[kind]:
                raise refused(f"{kind} not found: {each}")
        container = {
            "Image": service["image"],
            "Configs": configs,
            "Secrets": secrets,
            "Env": service.get("environment"),
        }
        old = self.services.get(f"{stack}_{name}")
        replicas = service["deploy"].get("replicas", 1)
        spec = {
            "Name": f"{stack}_{name}",
            "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": container | {"DNSConfig": {}}},
        }
        new: dict[str, Any] = {"ID": f"id-{name}", "Spec": spec, "PreviousSpec": old and old["Spec"]}
        if str(service["deploy"]["mode"]).endswith("-job"):
            self.services[f"{stack}_{name}"] = new | {"tasks": self._run_job(name, service, container)}
            return
        if name in self.unhealthy and (old is None or old["Spec"] != spec):
            failed = [_task(f"id-{name}", container, "failed", "shutdown", "exit 2")] * 4
            status = (
                {"UpdateStatus": {"State": "rollback_completed", "Message": "rolled back"}} if old else {}
            )
            new = {**(old or new), **status, "tasks": [*(old or {"tasks": []})["tasks"], *failed]}
        else:
            new["tasks"] = [_task(f"id-{name}", container, "running", "running", "")] * replicas
        self.services[f"{stack}_{name}"] = new

    def _run_job(self, name: str, service: dict[str, Any], container: dict[str, Any]) -> list[dict[str, Any]]:
        """A task on each host that is there, or on one; what it does is noted."""
        self.jobs.append((name, service["environment"]))
        there = [each for each in self.nodes if each["Status"]["State"] == "ready"]
        there = there if service["deploy"]["mode"] == "global-job" else there[:1]
        ends = (
            (
                each["ID"],
                *(
                    ("failed", "exit 1")
                    if each["Description"]["Hostname"] in self.jobs_fail_on
                    else ("complete", "")
                ),
            )
            for each in there
        )
        return [
            _task(f"id-{name}", container, state, "shutdown", said) | {"NodeID": id_}
            for id_, state, said in ends
        ]

    # ---- configs, secrets, networks

    def _object(
        self, kind: str, verb: str, names: list[str], options: Options, stdin: str | bytes | None
    ) -> str:
        kept = self.kept[kind]
        if verb == "create":
            labels = options.get("--label", [])
            data = stdin if isinstance(stdin, bytes) else (stdin or "").encode()
            if kind != "network" and (not data or names[0] in kept):
                raise refused("only updates to Labels are allowed")
            spec = {
                "Name": names[0],
                "Labels": dict(each.split("=", 1) for each in labels),
                "Data": b64encode(data).decode(),
            }
            self.made += 1
            id_ = f"{names[0]}#{self.made}" if kind == "config" else names[0]
            kept[names[0]] = {
                "ID": id_,
                "Name": names[0],
                "Spec": spec,
                "Driver": "overlay",
                "Internal": True,
                "Options": {},
            }
            return id_
        elif verb == "rm":
            for given in names:
                name = given.partition("#")[0]
                if name not in kept or ("#" in given and kept[name]["ID"] != given):
                    raise refused(f"{kind} {given} not found")
                if kind in ("config", "secret") and any(
                    name in json.dumps(each["Spec"]) for each in self.services.values()
                ):
                    raise refused(f"{kind} {name} is in use")
                del kept[name]
        elif verb == "ls":
            wanted = dict(
                each.removeprefix("label=").partition("=")[::2] for each in options.get("--filter", [])
            )
            fits: Callable[[dict[str, str]], bool] = lambda labels: all(  # noqa: E731
                key in labels and (not value or labels[key] == value) for key, value in wanted.items()
            )
            shown = "Name" if "--format" in options else "ID"
            return " ".join(
                str({**each, "Name": name}[shown])
                for name, each in kept.items()
                if fits(each["Spec"]["Labels"])
            )
        elif verb == "inspect":
            return json.dumps([kept[name.partition("#")[0]] for name in names])
        return ""


#: Options that take a value, in the next word.
VALUED = (
    "--label",
    "--filter",
    "--format",
    "--type",
    "--driver",
    "--opt",
    "--tail",
    "--compose-file",
    "--resolve-image",
)


def _read(words: tuple[str, ...]) -> tuple[list[str], Options]:
    names: list[str] = []
    options: Options = {}
    rest = iter(words)
    for word in rest:
        if word in VALUED:
            options.setdefault(word, []).append(next(rest))
        elif not word.startswith("-"):
            names.append(word)
    if names[0] in ("tag", "push", "pull", "ps", "inspect", "info"):
        return names[:1], options
    return names, options


def refused(said: str) -> Refused:
    return Refused(Problem("docker", "failed", "fix it"), details=said)


def _task(service: str, container: dict[str, Any], state: str, desired: str, error: str) -> dict[str, Any]:
    return {
        "ServiceID": service,
        "NodeID": "id1",
        "Status": {"State": state, "Err": error, "Timestamp": "2099-01-01T00:00:00Z"},
        "DesiredState": desired,
        "Spec": {"ContainerSpec": container},
        "CreatedAt": "2099-01-01T00:00:00.123456789Z",
    }


def _node(number: int, host: str) -> dict[str, Any]:
    return {
        "ID": f"id{number}",
        "Description": {"Hostname": host, "Engine": {"EngineVersion": "26.1.5+dfsg1"}},
        "Spec": {
            "Availability": "active",
            "Labels": {"mail.database": str(number), "mail.shard": "abc"[number - 1]},
        },
        "Status": {"State": "ready", "Addr": f"10.0.0.{number}"},
        "ManagerStatus": {
            "Reachability": "reachable",
            "Leader": number == 1,
            "Addr": f"10.0.0.{number}:2377",
        },
    }
