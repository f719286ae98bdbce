"""The check list's lines about data: each volume still lies where it did."""

from collections.abc import Iterator

from mailctl.core.checklist import FAILED, OK, Line
from mailctl.core.runtime import Runtime
from mailctl.deploy.tree import Tree

NAME = "volumes"


def lines(runtime: Runtime, tree: Tree) -> Iterator[Line]:
    """An existing volume keeps its folder, whatever a compose file says: its data would have to be moved first."""
    folder = tree.stage if tree.stage.exists() else tree.repo
    described = runtime.compose(folder).config().get("volumes") or {}
    moved = []
    for name, volume in described.items():
        there = runtime.engine.volume_device(runtime.project, name)
        wanted = str(((volume or {}).get("driver_opts") or {}).get("device", ""))
        if there and wanted != there:
            moved.append(f"{name} lies in {there}, and the compose file says {wanted or 'nothing'}")
    if moved:
        fix = "put the folder back; to move the data: docs/how-do-i.md"
        yield Line(NAME, FAILED, "; ".join(moved), fix)
    else:
        yield Line(NAME, OK, f"{len(described)} where they were")
