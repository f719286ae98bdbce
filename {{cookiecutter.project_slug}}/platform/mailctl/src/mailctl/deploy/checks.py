"""Each configuration, judged by its own checker in the image that is about to be started, before it is."""

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from mailctl.core.errors import Problem, Refused
from mailctl.core.runtime import Runtime, Service
from mailctl.deploy.tree import Tree

# What a checker may do: read what is mounted, and say what it thinks of it.
CONFINED = (
    "--rm",
    "--pull=never",
    "--network=none",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--read-only",
    "--memory=1g",
    "--pids-limit=100",
    "--entrypoint=/bin/sh",
)
NOBODY, PARALLEL = "65534:65534", 4


@cache
def checkers() -> dict[str, dict[str, Any]]:
    """The table of this folder."""
    import yaml

    return dict(yaml.safe_load(Path(__file__).with_name("checkers.yml").read_text("utf-8")))


def check(runtime: Runtime, tree: Tree, services: Mapping[str, Service], names: Iterable[str]) -> None:
    """Raises Refused with everything that the checkers of these services object to."""
    # rspamd wants the address of a name server, although there is no network to ask it by.
    resolver = tree.stage.parent / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\n", "utf-8")
    resolver.chmod(0o644)
    due = [services[name] for name in names if name in checkers()]
    with ThreadPoolExecutor(PARALLEL) as pool:
        said = list(pool.map(lambda one: _judge(runtime, tree, one, services), due))
    problems = [problem for problem in said if problem]
    if problems:
        raise Refused(*problems)


def _judge(runtime: Runtime, tree: Tree, one: Service, services: Mapping[str, Service]) -> Problem | None:
    row = checkers()[one.name]
    code, said = runtime.try_out(one, row["script"], list(_options(tree, one, row, services)))
    found = re.findall(f"(?m){row['complaint']}", said) if row.get("complaint") else []
    if not code and not found:
        return None
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    marked = [line for line in lines if row.get("complaint") and re.search(row["complaint"], line)]
    wrong = "; ".join((marked or lines[-3:])[:3])[:500] or f"its checker ends with exit code {code}"
    fix = f"fix config/{one.name} in a new commit; make check finds most of it before"
    return Problem(f"configuration of {one.name}", wrong, fix)


def _options(
    tree: Tree, one: Service, row: Mapping[str, Any], services: Mapping[str, Service]
) -> Iterator[str]:
    """The service's own user, settings and files, and nothing that could change or reach anything."""
    yield from CONFINED
    yield f"--user={one.raw.get('user') or NOBODY}"
    yield from (f"--cap-add={each}" for each in row.get("needs", ()))
    yield from (f"--tmpfs={path}:mode=1777" for path in ("/tmp", "/run", *row.get("writes", ())))  # noqa: S108
    yield from (f"--env={name}={value or ''}" for name, value in (one.raw.get("environment") or {}).items())
    # Some checkers resolve the names of the other services.
    yield from (f"--add-host={name}:127.0.0.1" for name in services)
    yield f"--mount=type=bind,source={tree.stage.parent}/resolv.conf,target=/etc/resolv.conf,readonly"
    for source, target in one.files:
        path = tree.staged(source)
        if source.is_relative_to(tree.repo) or path.is_file():
            yield f"--mount=type=bind,source={path},target={target},readonly"


def check_makefile(tree: Tree) -> None:
    """Raises Refused when the commit's Makefile does not parse: nobody could operate the host with it."""
    done = subprocess.run(
        ["make", "--dry-run", "--directory", str(tree.stage), "deploy", "verify"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it does not parse"])[0][:300]
        raise Refused(Problem("Makefile", said, "fix it in a new commit"))
