"""Folders in memory with owner and mode: `docker stack deploy` drops both from its own tmpfs.

Each becomes a volume of the engine's local driver with type=tmpfs, which takes every mount option. It is
mounted when its one task starts and gone when that ends. Its name holds the slot: no two tasks share it.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from mailctl.core.errors import Problem, Refused

#: What `tmpfs:` of compose has unless it says otherwise.
FLAGS = ("nosuid", "nodev", "noexec")
VALUES = ("mode", "uid", "gid", "size", "nr_inodes")


@dataclass(frozen=True)
class Tmpfs:
    """A folder in memory: where, and its mount options, sorted."""

    target: str
    options: tuple[str, ...]

    @property
    def wanted(self) -> dict[str, str]:
        """The options by name, with the kernel's defaults for those that are not there."""
        given = dict(option.partition("=")[::2] for option in self.options)
        shown = {"mode": "1777", "uid": "0", "gid": "0"} | {k: v for k, v in given.items() if v}
        return shown | {flag: "" for flag in FLAGS if flag in given}


def parse(service: str, text: str) -> Tmpfs:
    """Read `/path:option,option`. Raises Refused: an option that is not known to change nothing else."""
    target, _, rest = text.partition(":")
    options = {option for option in rest.split(",") if option}
    for option in sorted(options):
        name, _, value = option.partition("=")
        if not (option in ("exec", "noexec") or (name in VALUES and value)):
            wrong = "is no option of a folder in memory that a stack can have"
            fix = f"use {', '.join(VALUES)} or exec"
            raise Refused(Problem(f"{service}: tmpfs {target}", wrong, fix, value=option))
    flags = {flag for flag in FLAGS if not (flag == "noexec" and "exec" in options)}
    return Tmpfs(target, tuple(sorted((options - {"exec"}) | flags)))


def mask(target: str) -> Tmpfs:
    """What hides an image's own files below a folder that the repository brings: the configs lie in it."""
    return Tmpfs(target, tuple(sorted((*FLAGS, "mode=0555", "size=64k"))))


def volume(project: str, service: str, folder: Tmpfs) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The key of the volume, its definition, and the mount of the service."""
    options = ",".join(folder.options)
    slug = re.sub(r"[^a-z0-9]+", "-", folder.target.lower()).strip("-")
    key = f"tmpfs-{service}-{slug}-{sha256(options.encode()).hexdigest()[:8]}"
    made = {
        "name": f"{project}_{key}-{{{{.Task.Slot}}}}",
        "driver": "local",
        "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": options},
    }
    mount = {"type": "volume", "source": key, "target": folder.target, "volume": {"nocopy": True}}
    return key, made, mount
