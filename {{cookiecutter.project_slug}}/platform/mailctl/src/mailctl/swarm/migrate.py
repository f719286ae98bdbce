"""Migrates the accounts' tables on several hosts: as a job, once, before any service changes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import yaml

from mailctl.core.context import Context
from mailctl.core.disks import folder_of
from mailctl.core.engine import connected
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import private
from mailctl.core.runtime import Runtime, Service
from mailctl.core.schema import SERVICE, Schema
from mailctl.swarm import jobs
from mailctl.swarm.deploy import last_good
from mailctl.swarm.jobs import Job
from mailctl.swarm.render import Stack

BROKEN = "the migration broke off:"
# As single's Schema.migrate: the owner of the tables, with the new image, once.
MIGRATE = Job(
    SERVICE,
    "migrate",
    ("python", "-m", "usermgmt.migrate"),
    networks=("data",),
    environment={"DB_USER": "mailserver", "DB_PASSWORD_FILE": "/run/secrets/mariadb_owner_password"},
    secrets=("mariadb_owner_password",),
    seconds=1800.0,
)


def run(stack: str, text: str) -> None:
    """Migrate, as the stack file has usermgmt. Raises Refused: it broke off, perhaps half-way."""
    try:
        jobs.run(stack, text, MIGRATE)
    except Refused as refusal:
        said = " ".join((refusal.details or str(refusal)).split())[-300:]
        refusal.problems = (Problem(SERVICE, f"{BROKEN} {said}", "fix it in a new commit"),)
        raise


@contextmanager
def ready(context: Context, stack: Stack) -> Iterator[Callable[[], None]]:
    """What a deployment by hand has to do to the tables before its services change; often nothing.

    Raises Refused, before anything is made: nobody can say whether a migration waits, or it takes something
    away that the running version needs.
    """
    new = Service(SERVICE, _image(stack.body), "")
    before = _image(yaml.safe_load(last_good(stack.name) or "{}"))
    # At the first deployment the database makes the tables itself, as the newest version wants them.
    if not before or before == new.image:
        yield lambda: None
        return
    with connected() as engine:
        folder = private(folder_of(context, "SSD_PATH") / ".mailctl" / "deploy")
        schema = Schema(context, Runtime(context, engine), folder)
        waits = _waits(schema, new)
        yield lambda: _migrate(context, stack, schema) if waits else None


def _image(body: Any) -> str:
    return str(((body.get("services") or {}).get(SERVICE) or {}).get("image") or "")


def _waits(schema: Schema, new: Service) -> bool:
    now = schema.now()
    if now is None:
        wrong = f"cannot be asked on this host, and the new version of {SERVICE} may need others"
        fix = "wait until .venv/bin/mailctl db status is well, or deploy on a manager whose member of it runs"
        raise Refused(Problem("the accounts' tables", wrong, fix))
    head, known = schema.wanted(new)
    if head == now or now not in known:  # an older version runs on newer tables
        return False
    schema.refuse_contraction(new, now, head)
    return True


def _migrate(context: Context, stack: Stack, schema: Schema) -> None:
    context.out.note("copying the database, then migrating the accounts' tables")
    # As records.new_id: only the newest copies by name are kept.
    dump = schema.copy(f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z")
    try:
        run(stack.name, stack.text)
    except Refused:
        schema.restore(dump)
        raise
