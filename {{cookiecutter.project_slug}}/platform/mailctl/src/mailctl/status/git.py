"""What git says, and where it and what runs have come apart."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from mailctl.agent import branch
from mailctl.core.compose import Compose
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.folders import secrets
from mailctl.core.runtime import Runtime, Service
from mailctl.deploy import plan
from mailctl.deploy.records import Records
from mailctl.deploy.tree import Tree

# Deploy's reasons to recreate a service that mean another thing runs than is described here.
REASONS = {
    "another image": "runs another image than the compose file names",
    "its image will be fetched or built": "the image that the compose file names is not on this host",
    "other settings": "was started with other settings than the compose file and .env say",
    "other files": "started before the files that it mounts were changed",
}


@dataclass(frozen=True)
class Position:
    """HEAD of this folder, the last commit deployed, and how many more upstream has, as last fetched."""

    head: str | None
    subject: str = ""
    deployed: str | None = None
    deployed_at: float | None = None
    upstream: str = ""
    behind: int | None = None
    edited: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "edited": list(self.edited)}


def tree_of(context: Context) -> Tree:
    return Tree(context.repo, context.repo)


def position(context: Context) -> Position:
    """Nothing is fetched. Without a git repository all is empty."""
    tree = tree_of(context)
    upstream = f"origin/{branch(context)}"
    try:
        head, edited = tree.head, tuple(tree.edited())
    except (Refused, OSError):
        return Position(None)
    last = next((one for one in _history(context) if one.get("state")), {})
    deployed, at = (last["state"]["ref"], last["at"]) if last else (None, None)
    return Position(head, tree.subject(head), deployed, at, upstream, tree.behind(upstream), edited)


def drift(context: Context, runtime: Runtime, services: dict[str, Service]) -> dict[str, str]:
    """Each service that is not what this folder describes, and why; what does not run at all is no drift."""
    folder, tree = secrets(context), tree_of(context)
    # Git does not have the secrets: a rotation, which has the service reload, is no drift.
    plain = {
        name: replace(one, files=tuple(pair for pair in one.files if not pair[0].is_relative_to(folder)))
        for name, one in services.items()
    }
    images = {name: runtime.image(one.image) for name, one in services.items()}
    found = plan.changes(runtime, tree, plain, None, images, staged=False)
    differing = {name: REASONS[reason] for name, reason in found.items() if reason in REASONS}
    if "other settings" in found.values():
        hashes, running = _without_order(context, runtime), runtime.running()
        same = {name for name, one in running.items() if one.settings == hashes.get(name, "")}
        differing = {n: why for n, why in differing.items() if n not in same or found[n] != "other settings"}
    return differing | {name: "is in no compose file" for name in plan.orphans(runtime.running(), services)}


def _without_order(context: Context, runtime: Runtime) -> dict[str, str]:
    """`docker compose up --no-deps`, which the runbooks use, counts the settings without depends_on."""
    config = runtime.compose(context.repo).config()
    for service in config["services"].values():
        service.pop("depends_on", None)
    environ = {**context.environ, "COMPOSE_FILE": ""}
    compose = Compose(context.repo, ("--project-name", context.project_name, "--file", "-"), environ)
    lines = compose.run("config", "--hash", "*", stdin=json.dumps(config)).splitlines()
    return dict(line.split(maxsplit=1) for line in lines)


def _history(context: Context) -> list[dict[str, Any]]:
    try:
        return Records.of(context).history()
    except (Refused, OSError):
        return []
