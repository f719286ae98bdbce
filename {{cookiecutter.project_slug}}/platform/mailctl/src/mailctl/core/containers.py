"""The stack's containers on this host: which one runs a service, and a command inside it by the docker CLI.

The one place that knows that a container may be compose's or the task of a Swarm.
"""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from tempfile import TemporaryFile
from typing import IO

from mailctl.core import hosts
from mailctl.core.context import Context
from mailctl.core.engine import TASK, ContainerState, Engine, connected
from mailctl.core.errors import Problem, Refused

COPY_SECONDS = 300


def all_of(context: Context) -> dict[str, ContainerState]:
    """The container of each service of the project, stopped ones too."""
    with connected() as engine:
        return here(context, engine)


def here(context: Context, engine: Engine) -> dict[str, ContainerState]:
    """The container of each service that has one on this host, by the service's name in docker-compose.yml.

    Of several hosts a member is known by what it is one of (`mariadb` for mariadb-2): a host has one at most.
    """
    project = context.project_name
    if not hosts.several(context):
        return {state.service: state for state in engine.containers(project)}
    members, found = hosts.members(context), {}
    for state in engine.tasks(project):
        # What is pinned to this host is missed while it does not run; anything else runs elsewhere then.
        if state.status == "running" or state.service in members:
            name = members.get(state.service, state.service)
            found[name] = replace(state, service=name)
    return found


def running(context: Context, service: str) -> str:
    """The id of a service's running container. Raises Refused when there is none."""
    return chosen(all_of(context), service, context.project_name)


def chosen(there: Mapping[str, ContainerState], service: str, project: str) -> str:
    """The id of a service's running container. Raises Refused: it does not run, or nothing does."""
    if not any(state.status == "running" for state in there.values()):
        fix = "docker compose up -d --wait; a local trial: make local"
        raise Refused(Problem("the stack", "is not running", fix, value=project))
    found = there.get(service)
    if found is None or found.status != "running":
        wrong = f"does not run ({found.word})" if found else "has no container"
        fix = f"docker compose up -d {service}; then: make status"
        if any(state.restart_policy == TASK for state in there.values()):
            fix = f"run this where it has one: docker service ps {project}_{service} (on a manager)"
            wrong += " on this host"
        raise Refused(Problem(f"service {service}", wrong, fix, value=project))
    return found.id


def start(container: str, *command: str, stdin: int | IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Run a command in a container, its streams as pipes."""
    interactive = () if stdin is None else ("-i",)
    return subprocess.Popen(
        ["docker", "exec", *interactive, container, *command],
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def lines(container: str, *command: str) -> Iterator[str]:
    """The lines that a command prints, as they come. Raises Refused with its own words when it failed."""
    with TemporaryFile() as said:
        whole = ["docker", "exec", container, *command]
        process = subprocess.Popen(whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
        try:
            yield from (line.decode() for line in process.stdout or ())
            if process.wait():
                said.seek(0)
                raise Refused(failed(command[0], said.read()))
        finally:
            # Whoever reads may have seen enough.
            process.kill()
            process.wait()


def output(container: str, *command: str, stdin: bytes | None = None, limit: float = 120) -> bytes:
    """What a command printed. Raises Refused with its own words: it failed or took over `limit` seconds."""
    process = start(container, *command, stdin=None if stdin is None else subprocess.PIPE)
    try:
        printed, said = process.communicate(stdin, timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        printed, said = b"", f"no end after {limit:.0f} seconds".encode()
    if process.returncode:
        raise Refused(failed(command[0], said))
    return printed


def processes(container: str) -> list[str]:
    """The command lines of what runs in a container. Raises Refused."""
    command = ["docker", "top", container, "-eo", "pid,args"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise Refused(failed("docker top", done.stderr))
    return done.stdout.decode("utf-8", "replace").splitlines()


def failed(program: str, said: bytes) -> Problem:
    text = " ".join(said.decode("utf-8", "replace").split())[-300:]
    return Problem(program, f"failed in its container: {text}", "fix what it names and run the command again")


def copy_out(context: Context, service: str, path: str, into: IO[bytes]) -> None:
    """Write a tar of what a service has at `path`; its container need not run. Raises Refused."""
    found = all_of(context).get(service)
    if found is None:
        wrong = f"has no container: its volume with {path} cannot be read"
        raise Refused(Problem(f"service {service}", wrong, f"docker compose up -d {service}"))
    command = ["docker", "cp", f"{found.id}:{path}", "-"]
    done = subprocess.run(command, stdout=into, stderr=subprocess.PIPE, timeout=COPY_SECONDS, check=False)
    if done.returncode:
        raise Refused(failed("docker cp", done.stderr))
    into.seek(0)
