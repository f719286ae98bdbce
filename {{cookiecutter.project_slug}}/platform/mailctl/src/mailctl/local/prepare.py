"""What must lie on disk before the local stack starts: folders, secrets, the sink's certificate."""

import secrets
from pathlib import Path
from typing import Any

from mailctl.core.engine import PROJECT_LABEL, Engine
from mailctl.core.errors import Problem, Refused
from mailctl.core.local_stack import LocalStack
from mailctl.secret_files.certificates import covered_names, new_key, parse, service_certificate
from mailctl.secret_files.initialise import Report, initialise
from mailctl.secret_files.store import opened
from mailctl.secret_files.table import PUBLIC_IN_FOLDER

SINK_SERVICE = "mailpit"


def refuse_foreign_volumes(engine: Engine, stack: LocalStack, config: dict[str, Any]) -> None:
    """Raises Refused when volumes of this name hold the trial of another folder, whose passwords differ."""
    for name, volume in config.get("volumes", {}).items():
        wanted = (volume or {}).get("driver_opts", {}).get("device", "")
        there = engine.volume_device(stack.project, name)
        if wanted and there and there != wanted:
            remove = f"docker volume rm $(docker volume ls -q --filter label={PROJECT_LABEL}={stack.project})"
            raise Refused(
                Problem(
                    field="local stack",
                    value=stack.project,
                    wrong=f"a trial of this name, started from another folder, has its data in {there}",
                    fix=f"end it there with make local-down ARGS=--volumes; if that folder is gone: {remove}",
                    next="make local",
                )
            )


def make_folders(stack: LocalStack, config: dict[str, Any]) -> list[Path]:
    """Every folder below the local state that a volume binds to; the engine does not make these."""
    devices = [(v or {}).get("driver_opts", {}).get("device") for v in config.get("volumes", {}).values()]
    mounts = [m for s in config["services"].values() for m in s.get("volumes", []) if m["type"] == "bind"]
    paths = [Path(p) for p in (*devices, *(m["source"] for m in mounts)) if p]
    folders = [path for path in dict.fromkeys(paths) if path.is_relative_to(stack.home)]
    for folder in (stack.ssd, stack.hdd, *folders):
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def make_secrets(stack: LocalStack) -> Report:
    """Secrets of the local stack alone; the sink takes any log-in, so one is made for the relay."""
    return initialise(
        stack.context, stack.secrets, extra={"SENDGRID_API_KEY": secrets.token_urlsafe(24).encode()}
    )


def sink_names(stack: LocalStack, config: dict[str, Any]) -> list[str]:
    """The names under which the stack meets the sink: the relay's, as it takes the relay's place."""
    networks = config["services"].get(SINK_SERVICE, {}).get("networks") or {}
    aliases = [alias for network in networks.values() if network for alias in network.get("aliases") or []]
    names = [stack.context.setting("RELAY_HOST"), *aliases, SINK_SERVICE, "localhost"]
    return list(dict.fromkeys(name for name in names if name))


def make_sink_certificate(stack: LocalStack, names: list[str]) -> None:
    """A certificate of the internal CA for the sink, recreated when it lacks one of `names`."""
    with opened(stack.secrets, create=True) as store, store.locked():
        key = store.read("sink_tls.key")
        if not key:
            key = new_key()
            store.write("sink_tls.key", key, PUBLIC_IN_FOLDER)
        existing = store.read("sink_tls.crt") or b""
        found = parse(existing)
        if found and not set(names) <= covered_names(found):
            existing = b""
        ca, ca_key = store.read("internal_ca.crt") or b"", store.read("internal_ca.key") or b""
        content = service_certificate(existing, key, ca, ca_key, names)
        if content != existing:
            store.write("sink_tls.crt", content, PUBLIC_IN_FOLDER)
