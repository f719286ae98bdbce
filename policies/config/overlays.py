"""What lies over an image's own programs and settings, and whether anybody reviewed it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from policies.compose.project import Laid, Service
from policies.shared import tables

if TYPE_CHECKING:
    from policies.config.reader import Configuration

#: What a secret or config of a service is called in a message.
TITLES = {"secrets": "a secret", "configs": "a config", "watch": "develop.watch", "tmpfs": "an empty tmpfs"}


def unreviewed(configuration: Configuration, service: Service) -> Iterator[tuple[Laid, str]]:
    """Yield what lies over programs or settings of a service of ours without being its file, and what it is.

    Mounts from elsewhere on the host and volumes that are in no table are MAIL_CMP_021's.
    """
    for laid in service.laid():
        if service.name in tables.table("services") and _guarded(laid.target):
            if laid.kind == "tmpfs" and laid.target in tables.table("overlays")["memory"]:
                continue
            # Our own programs are what a developer watches; their settings are not.
            if laid.kind == "watch" and laid.target.startswith("/opt/"):
                continue
            if what := _wrong(configuration, service, laid):
                yield laid, what


def _guarded(target: str) -> bool:
    table = tables.table("overlays")
    inside = any(f"{target}/".startswith(f"{folder}/") for folder in table["folders"])
    return inside or bool(re.fullmatch(table["programs"], target))


def _wrong(configuration: Configuration, service: Service, laid: Laid) -> str:
    source = str(laid.source or "")
    if laid.kind in ("bind", "configs") and source.startswith("config/"):
        return _of_another(configuration, service, source, laid.target)
    if laid.kind in TITLES:
        return TITLES[laid.kind]
    own = tables.table("volumes")["mounts"].get(source, {}).get("service") == service.name
    if laid.kind == "image" or (laid.kind == "volume" and own):
        return f"the {laid.kind} {source}"
    return ""


def _of_another(configuration: Configuration, service: Service, source: str, target: str) -> str:
    """Say what is wrong with a file or folder below config/: the rules read each by its kind."""
    rows = [row for row in tables.table("mounts") if row["service"] == service.name]
    kind = configuration.kinds.get(source)
    if not any(_belongs(source, row["files"], kind is not None) for row in rows):
        return f"{source}, which is no file of {service.name},"
    if kind == "text":
        return f"{source}, which no rule reads,"
    for row in rows if kind else ():
        if row.get("folder") and target.startswith(f"{row['folder']}/") and not row.get("any"):
            rest = target.removeprefix(row["folder"])
            mirrored = configuration.kind(row["files"].partition("/*")[0] + rest)
            return "" if mirrored in (kind, None) else f"{source}, which is read as {kind},"
    return ""


def _belongs(source: str, pattern: str, is_file: bool) -> bool:
    return fnmatch(source, pattern) if is_file else fnmatch(f"{source}/x", f"{pattern.partition('*')[0]}*")
