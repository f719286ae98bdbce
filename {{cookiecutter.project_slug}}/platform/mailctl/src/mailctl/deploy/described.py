"""The check list's lines about what a commit describes: its Makefile works, and data stays where it lies."""

import subprocess
from collections.abc import Iterator

from mailctl.core.checklist import FAILED, OK, Line
from mailctl.core.runtime import Runtime
from mailctl.deploy.tree import Tree

#: The hosts of a server that Docker Swarm runs.
NODES = "nodes.yml"


def volumes(runtime: Runtime, tree: Tree) -> Iterator[Line]:
    """A volume that exists keeps its folder: its data would have to be moved first."""
    if moved := runtime.moved_volumes(tree.shown):
        found = [f"{name} lies in {there}, and is {wanted} now" for name, (there, wanted) in moved.items()]
        yield Line("volumes", FAILED, "; ".join(found), "put the folder back in a new commit")
    else:
        yield Line("volumes", OK, "all of them lie where they did")


def makefile(tree: Tree) -> Iterator[Line]:
    """It parses: nobody could look after this host with one that does not. Nothing is run."""
    if not (tree.shown / "Makefile").exists():
        return
    command = ["make", "--dry-run", "--no-print-directory", "-C", str(tree.shown), "deploy", "verify"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        yield Line("Makefile", FAILED, " ".join(done.stderr.split())[-300:], "fix it in a new commit")
    else:
        yield Line("Makefile", OK, "it parses")


def hosts(tree: Tree) -> Iterator[Line]:
    """Compose would start on this host what a stack spreads over several."""
    if (tree.stage / NODES).is_file() or (tree.repo / NODES).is_file():
        fix = ".venv/bin/mailctl swarm deploy (docs/several-hosts.md)"
        yield Line("hosts", FAILED, f"{NODES} says that there are several: Compose knows one", fix)
