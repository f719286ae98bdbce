"""The host that a deployment changes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mailctl.canaries import Canary
from mailctl.core.context import Context
from mailctl.core.runtime import Runtime
from mailctl.core.schema import Schema
from mailctl.deploy.records import Records
from mailctl.deploy.tree import Tree


@dataclass
class Host:
    """What a deployment works with."""

    context: Context
    runtime: Runtime
    tree: Tree
    records: Records
    schema: Schema
    #: Tries the server, and compares it with what `remember` gave.
    canaries: Callable[[dict[str, Any]], list[Canary]]
    remember: Callable[[], dict[str, Any]]
    heard: bool = True

    def say(self, text: str) -> None:
        """Tell how far it is; that nobody listens any more, as after a cut connection, must not stop it."""
        try:
            if self.heard:
                self.context.out.note(text)
        except (OSError, SystemExit):
            self.heard = False

    @property
    def repository(self) -> str:
        """Below which name images are kept."""
        return f"{self.context.project_name}-kept"
