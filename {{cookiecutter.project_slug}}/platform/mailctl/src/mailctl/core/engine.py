"""The only module that talks to the Docker engine's API, through the docker SDK."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailctl.core.errors import Problem, Refused

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
VOLUME_LABEL = "com.docker.compose.volume"
ONEOFF_LABEL = "com.docker.compose.oneoff"
SETTINGS_LABEL = "com.docker.compose.config-hash"
NEEDS_LABEL = "com.docker.compose.depends_on"
STACK_LABEL, TASK_LABEL = "com.docker.stack.namespace", "com.docker.swarm.service.name"
#: In the place of a restart policy: of a task.
TASK = "task"
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class ContainerState:
    """What the engine says about one container of the project; memory in bytes, 0 means no limit."""

    id: str
    service: str
    name: str
    image: str
    status: str
    health: str | None
    exit_code: int
    restarts: int
    started_at: datetime | None
    memory_limit: int
    ports: tuple[str, ...]
    published: tuple[int, ...]
    health_output: str
    restart_policy: str
    image_id: str = ""
    #: Compose's hash of the settings that the container was made from.
    settings: str = ""
    #: The services that it was started after, as compose noted them: "postfix:service_healthy:false,…".
    needs: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Healthy, or running where no healthcheck exists, or a one-shot job that ended well."""
        if self.status == "running":
            return self.health in (None, "healthy")
        return self.done

    @property
    def done(self) -> bool:
        return self.status == "exited" and self.exit_code == 0 and self.restart_policy in ("", "no")

    @property
    def word(self) -> str:
        """The state in one word, with the exit code where it matters."""
        if self.status == "running":
            return self.health or "running"
        if self.status == "exited":
            return "done" if self.done else f"exited {self.exit_code}"
        return self.status


@dataclass(frozen=True)
class Usage:
    """Memory in bytes without the page cache, and processor time as percent of one core."""

    memory: int
    cpu_percent: float


class Unanswered(Exception):
    """A registry that could not be asked, or that does not know the tag; the text says which."""


class Engine:
    """A connected Docker engine."""

    def __init__(self, client: "DockerClient") -> None:
        self._client = client

    def containers(self, project: str) -> list[ContainerState]:
        """All containers of a compose project, stopped ones too, without those of `compose run`."""
        states = [
            _state(c.attrs)
            for c in self._labelled(PROJECT_LABEL, project)
            if c.labels.get(ONEOFF_LABEL) != "True"
        ]
        return sorted(states, key=lambda state: state.name)

    def tasks(self, stack: str) -> list[ContainerState]:
        """The containers of a stack's tasks on this host; of each service the one that counts comes last."""
        states = [
            # The engine of a Swarm starts another task, whatever a container's own policy says.
            replace(_state(c.attrs), restart_policy=TASK, service=c.labels[TASK_LABEL][len(stack) + 1 :])
            for c in self._labelled(STACK_LABEL, stack)
        ]
        never = datetime.min.replace(tzinfo=UTC)
        return sorted(states, key=lambda s: (s.service, s.status == "running", s.ok, s.started_at or never))

    def _labelled(self, label: str, value: str) -> "list[Container]":
        filters: dict[str, str | list[str] | bool] = {"label": [f"{label}={value}"]}
        return self._client.containers.list(all=True, filters=filters, ignore_removed=True)

    def usage(self, container_id: str) -> Usage | None:
        """One measurement (takes the engine a second or two); None for a container that does not run."""
        from docker.errors import APIError

        try:
            stats: Any = self._client.containers.get(container_id).stats(stream=False)  # one mapping
            return _usage(stats)
        except (APIError, KeyError):
            return None

    def logs(self, container_id: str, lines: int) -> str:
        """The last lines a container wrote."""
        from docker.errors import APIError

        try:
            text = self._client.containers.get(container_id).logs(tail=lines)
        except APIError:
            return ""
        return text.decode("utf-8", "replace")

    def log(self, container_id: str, **options: Any) -> Any:
        """A log as the SDK gives it, by its own options: bytes, or an iterator of them with stream=True."""
        return self._client.containers.get(container_id).logs(**options)

    def has_image(self, name: str) -> bool:
        return self.image_id(name) is not None

    def image_id(self, name: str) -> str | None:
        """The id of the image that a name, tag or id stands for; None when it is not here."""
        from docker.errors import NotFound

        try:
            return str(self._client.images.get(name).id)
        except NotFound:
            return None

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image a further name, which neither `docker image prune` nor a new build takes away."""
        self._client.images.get(image).tag(repository, tag)

    def tags(self, repository: str) -> list[str]:
        """The names of a repository's images."""
        found = self._client.images.list(name=repository)
        return sorted(name for image in found for name in image.tags if name.startswith(f"{repository}:"))

    def untag(self, name: str) -> None:
        """Take a name away; the image goes with its last one, unless a container uses it."""
        self._client.images.remove(name)

    @property
    def name(self) -> str:
        """What a Swarm calls this host."""
        return str(self._client.info()["Name"])

    @property
    def home(self) -> Path:
        """Where it keeps images, containers and volumes."""
        return Path(self._client.info()["DockerRootDir"])

    def upstream_digest(self, name: str) -> str:
        """The digest of an image's tag at its registry today, by the engine's own mirrors and log-ins.

        Raises Unanswered with the registry's words when it does not say.
        """
        from docker.errors import APIError

        api: Any = self._client.api  # docker's own class, of which the stubs know half
        try:
            return str(api.inspect_distribution(name)["Descriptor"]["digest"])
        except (APIError, KeyError) as error:
            explanation = getattr(error, "explanation", None) or error
            raise Unanswered(" ".join(str(explanation).split())) from None

    def volume_path(self, project: str, name: str) -> Path | None:
        """Where the engine keeps a volume of a compose project on this host; None when there is none yet."""
        found = self._volume(project, name)
        return Path(found["Mountpoint"]) if found else None

    def volume_device(self, project: str, name: str) -> str:
        """The folder that a volume of a compose project binds to; empty when there is none."""
        found = self._volume(project, name) or {}
        return str((found.get("Options") or {}).get("device", ""))

    def _volume(self, project: str, name: str) -> dict[str, Any] | None:
        from docker.errors import NotFound

        try:
            return dict(self._client.volumes.get(f"{project}_{name}").attrs)
        except NotFound:
            return None

    def make_volume(self, project: str, name: str) -> Path:
        """A volume as compose makes it; returns where its files are."""
        labels = {PROJECT_LABEL: project, VOLUME_LABEL: name}
        return Path(self._client.volumes.create(f"{project}_{name}", labels=labels).attrs["Mountpoint"])

    def remove_below(self, folder: str, image: str) -> None:
        """Empty a host folder whose files belong to container users, as root inside `image`; no network."""
        self._client.containers.run(
            image,
            entrypoint=["find", "/state", "-mindepth", "1", "-delete"],
            command=[],
            user="0:0",
            network_mode="none",
            remove=True,
            volumes={folder: {"bind": "/state", "mode": "rw"}},
        )


@contextmanager
def connected() -> Iterator[Engine]:
    """The engine the docker CLI would use. Raises Refused when it does not answer or cannot do its part."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    client = None
    try:
        client = _client()
        client.ping()
    except (DockerException, RequestException) as error:
        if client:
            client.close()
        raise Refused(_unreachable(client, error)) from None
    try:
        yield Engine(client)
    # First those of the engine: what it answers with is a RequestException as well.
    except DockerException as error:
        raise Refused(_failed(error)) from None
    except RequestException as error:
        raise Refused(_unreachable(client, error)) from None
    finally:
        client.close()


def _client() -> "DockerClient":
    """DOCKER_HOST first, then the CLI's current context, so that rootless engines are found too."""
    import docker

    if not os.environ.get("DOCKER_HOST"):
        context = docker.context.ContextAPI.get_current_context()
        if context and context.Host:
            return docker.DockerClient(base_url=context.Host, tls=context.TLSConfig, timeout=TIMEOUT_SECONDS)
    return docker.from_env(timeout=TIMEOUT_SECONDS)


def _unreachable(client: "DockerClient | None", error: Exception) -> Problem:
    address = client.api.base_url if client else "its default address"
    if "Permission denied" in str(error):
        fix = "run as root, or: sudo usermod -aG docker $USER and log in again"
    else:
        fix = "start it: sudo systemctl start docker; is it elsewhere? set DOCKER_HOST"
    return Problem(
        field="docker engine",
        value=address.replace("http+docker://localhost", "the local socket"),
        wrong=f"does not answer: {error}"[:300],
        fix=fix,
        next="docker info",
    )


def _failed(error: Exception) -> Problem:
    """It answers, but did not do what was asked: its own words, which name the container or image."""
    said = getattr(error, "explanation", None) or str(error)
    return Problem(
        "docker engine",
        f"could not do what was asked: {said}"[:300],
        "fix what it names, then run the same command again",
        next="docker ps --all",
    )


def _state(attrs: dict[str, Any]) -> ContainerState:
    state, host, config = attrs["State"], attrs["HostConfig"], attrs["Config"]
    health = state.get("Health") or {}
    log = health.get("Log") or []
    ports, published = _ports(attrs.get("NetworkSettings", {}).get("Ports") or {})
    return ContainerState(
        id=attrs["Id"],
        service=config["Labels"].get(SERVICE_LABEL, attrs["Name"].lstrip("/")),
        name=attrs["Name"].lstrip("/"),
        image=config["Image"],
        status=state["Status"],
        health=health.get("Status") if health.get("Status") != "none" else None,
        exit_code=state.get("ExitCode", 0),
        restarts=attrs.get("RestartCount", 0),
        started_at=_time(state.get("StartedAt", "")),
        memory_limit=host.get("Memory", 0),
        ports=ports,
        published=published,
        health_output=(log[-1].get("Output", "") if log else "").strip(),
        restart_policy=(host.get("RestartPolicy") or {}).get("Name", ""),
        image_id=attrs.get("Image", ""),
        settings=config["Labels"].get(SETTINGS_LABEL, ""),
        needs=tuple(
            each.partition(":")[0] for each in config["Labels"].get(NEEDS_LABEL, "").split(",") if each
        ),
    )


def _ports(bindings: dict[str, Any]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Published ports as `address:port→inside` and the host ports alone; unpublished ones are left out."""
    texts, numbers = [], []
    for inside, places in bindings.items():
        for place in places or []:
            texts.append(f"{place['HostIp'] or '*'}:{place['HostPort']}→{inside.removesuffix('/tcp')}")
            numbers.append(int(place["HostPort"]))
    return tuple(sorted(set(texts))), tuple(sorted(set(numbers)))


def _time(text: str) -> datetime | None:
    """The engine's RFC 3339 time; its year 1 means never."""
    if not text or text.startswith("0001"):
        return None
    return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)


def _usage(stats: dict[str, Any]) -> Usage:
    """Computed as the docker CLI does, for cgroup v1 (total_inactive_file) and v2 (inactive_file)."""
    memory = stats["memory_stats"]
    details = memory.get("stats", {})
    cache = details.get("inactive_file", details.get("total_inactive_file", 0))
    now, before = stats["cpu_stats"], stats["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now["system_cpu_usage"] - before.get("system_cpu_usage", 0)
    cpu = used / passed * now.get("online_cpus", 1) * 100 if passed > 0 else 0.0
    return Usage(max(0, memory["usage"] - cache), round(cpu, 1))
