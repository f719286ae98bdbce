"""On several hosts a secret cannot change in a container that runs: a deployment brings the new value.

So a rotation has two commands with the deployment between them, and both values are valid all the while.
Whatever a killed one left half-done is done again by the second one, which goes forward only.
"""

from collections.abc import Callable, Mapping

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.secret_files.rotate import database, journal
from mailctl.secret_files.rotate.journal import Journal
from mailctl.secret_files.store import Store

DEPLOY = ".venv/bin/mailctl swarm deploy"
#: Writes a value into its file and those made from it; what each then holds, by what the containers call it.
Write = Callable[[str], Mapping[str, bytes]]


def rotate(context: Context, store: Store, entry: Journal, finish: bool, write: Write) -> str:
    """Have the old and the new password open the account, or with `finish` only the new one; what is next.

    Raises Refused: it was begun already, or `finish` comes before all tasks have the new value.
    """
    again, file = f".venv/bin/mailctl secrets rotate {entry.name} --finish", f"{journal.FILE}-{entry.name}"
    found = journal.read(store, file)
    if found and not finish:
        raise Refused(Problem(entry.name, "a rotation of it is under way", f"{DEPLOY}, then: {again}"))
    if finish and not found:
        raise Refused(Problem(entry.name, "no rotation of it is under way", again.removesuffix(" --finish")))
    entry = found or entry
    entry.write(store, file)
    root = [entry.new, entry.old] if entry.name == database.ROOT else [_text(store, database.ROOT)]
    database.allow(context, entry.name, (entry.new, entry.old), root)
    for password in (entry.new, entry.old):
        database.log_in(context, entry.name, password)
    contents = write(entry.new)
    if not finish:
        return f"{DEPLOY}, then: {again}"
    if late := _late(context, contents):
        wrong = f"tasks still have the former value: {', '.join(late)}"
        raise Refused(Problem(entry.name, wrong, f"{DEPLOY}, then: {again}"))
    database.allow(context, entry.name, (entry.new,), root)
    store.remove(file)
    return ""


def _late(context: Context, contents: Mapping[str, bytes]) -> list[str]:
    """The services with a task that has another value than the files here."""
    from mailctl.swarm import docker, objects

    stack = context.project_name
    made = [objects.made("secret", stack, key, data, key).name for key, data in contents.items()]
    now = {name.rpartition("-")[0]: name for name in made}
    tasks, late = docker.tasks(stack), set()
    for service, found in docker.services(stack).items():
        for task in tasks.get(found["ID"], ()):
            held = [each["SecretName"] for each in task["Spec"]["ContainerSpec"].get("Secrets") or ()]
            old = [name for name in held if now.get(name.rpartition("-")[0], name) != name]
            if old and task["DesiredState"] == "running":
                late.add(service)
    return sorted(late)


def _text(store: Store, name: str) -> str:
    return (store.read(name) or b"").decode().strip()
