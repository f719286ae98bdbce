"""AGENT_DIR on disk: its parts, its lock, and what the agent remembers."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailctl.agent import folder
from mailctl.core import files, lock
from mailctl.core.context import Context
from mailctl.core.folders import private


@dataclass(frozen=True)
class Home:
    """AGENT_DIR at `root`, for the repository at `repo`."""

    root: Path
    repo: Path

    @classmethod
    def of(cls, context: Context) -> "Home":
        return cls(folder(context), context.repo)

    def key(self, name: str) -> Path:
        return self.root / "keys" / name

    def secret(self, name: str) -> str:
        """What a file of keys/ holds; empty when there is none."""
        try:
            return self.key(name).read_text("utf-8").strip()
        except FileNotFoundError:
            return ""

    def version(self, name: str) -> Path | None:
        """Where `current` or `previous` points; None when there is none that can be started."""
        path = (self.root / name).resolve()
        return path if (path / "bin" / "mailctl").exists() else None

    def point(self, name: str, target: Path) -> None:
        """Let a link point to a place of this folder: the old one or the new one, never none."""
        beside = self.root / f".{target.name}.link"
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.path.relpath(target, (self.root / name).parent))
        beside.rename(self.root / name)

    @contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """One at a time. Raises Refused with who is at work."""
        private(self.root)
        with lock.exclusive(self.root / "lock", "agent lock", what, "deploying"):
            yield

    def state(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.root / "state.json").read_text("utf-8")))
        except (OSError, ValueError):
            return {}

    def remember(self, **changes: Any) -> None:
        """Change what is remembered; None forgets. Only who holds the lock may call this."""
        new = {name: value for name, value in {**self.state(), **changes}.items() if value is not None}
        files.write(self.root / "state.json", json.dumps(new, indent=1) + "\n")


def git(repo: Path, *words: str, **more: Any) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["git", "-C", str(repo), *words], capture_output=True, check=False, **more)
