"""`mailctl secrets rotate`: killed at any step, the next run ends it, and nobody is shut out meanwhile."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.secret_files.initialise import initialise
from mailctl.secret_files.rotate import database, journal, readers
from mailctl.secret_files.rotate.run import rotate
from mailctl.secret_files.store import Store
from mailctl.secret_files.table import SOURCES
from mailctl.swarm import docker, objects

READERS = {s.file: [each for each in s.readers if each in readers.READERS] for s in SOURCES}
NAMES = [name for name in database.ACCOUNTS if name != "ledger_db_password"]


class World:
    """The database's accounts and what each service logs in with, in a file: it outlives a killed process."""

    def __init__(self, context: Context, patch: pytest.MonkeyPatch) -> None:
        self.context, self.path, self.kill_at, self.steps = context, context.repo / "world.json", 0, 0
        patch.setattr(os, "fsync", lambda _fd: None)
        initialise(context, context.repo / "secrets")
        secrets = {name: self.secret(name) for name in NAMES}
        self.store({"allowed": {n: [s] for n, s in secrets.items()}, "used": secrets})
        patch.setattr(database, "_run", self.ask)
        patch.setattr(readers, "take_up", self.take_up)
        patch.setattr(readers, "check", lambda _context, _service: self.check())
        for name in ("write", "overwrite", "remove"):
            patch.setattr(Store, name, self.counted(getattr(Store, name)))

    def secret(self, name: str) -> str:
        return (self.context.repo / "secrets" / name).read_text().strip()

    def load(self) -> dict[str, Any]:
        return dict(json.loads(self.path.read_text()))

    def store(self, state: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(state))

    def step(self) -> None:
        """Nobody may be shut out now; and here the process may be killed."""
        state = self.load()
        for name, password in state["used"].items():
            assert password in state["allowed"][name], f"{name}: who uses it is shut out"
        self.steps += 1
        if self.steps == self.kill_at:
            os._exit(137)

    def counted(self, method: Any) -> Any:
        def call(*arguments: Any) -> Any:
            done = method(*arguments)
            self.step()
            return done

        return call

    def ask(self, _context: Context, user: str, password: str, statement: str) -> None:
        """MariaDB: log in, and change who may."""
        state = self.load()
        name = next(name for name, (account, _) in database.ACCOUNTS.items() if account == user)
        if password not in state["allowed"][name]:
            raise Refused(Problem("mariadb", "Access denied", "use the right password"))
        if found := re.match(r"ALTER USER IF EXISTS '(\w+)'", statement):
            other = next(name for name, (account, _) in database.ACCOUNTS.items() if account == found[1])
            state["allowed"][other] = re.findall(r"PASSWORD\('([^']+)'\)", statement)
            self.store(state)
        self.step()

    def take_up(self, _context: Context, services: Sequence[str], name: str, contents: Any) -> None:
        for _ in services or [""]:
            state = self.load()
            state["used"][name] = contents[name].decode().strip()
            self.store(state)
            self.check()

    def check(self) -> None:
        self.step()


def killed(world: World, name: str, step: int, finish: bool = False) -> int:
    """The exit code of a rotation that is killed at that step; 0 when it ended before."""
    pid = os.fork()
    if not pid:
        world.kill_at, world.steps, code = step, 0, 3
        try:
            rotate(world.context, name, lambda: "", finish)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("name", ["mariadb_root_password", "dovecot_db_password", "roundcube_db_password"])
def test_killed_at_any_step_nobody_is_shut_out_and_the_next_run_ends_it(
    context: Context, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, step, code = World(context, monkeypatch), 0, 137
    while code == 137:
        step += 1
        code = killed(world, name, step)
        before = world.secret(name)
        rotate(context, name, lambda: "", finish=False)
        state = world.load()
        assert world.secret(name) != before
        assert state["allowed"][name] == [world.secret(name)] and state["used"][name] == world.secret(name)
        assert not Path(context.repo / "secrets" / journal.FILE).exists()
    assert code == 0 and step > 8


class Deployed:
    """The tasks of a stack on several hosts: they hold what the last deployment found in the files."""

    def __init__(self, world: World, name: str, patch: pytest.MonkeyPatch) -> None:
        self.world, self.name, self.held = world, name, ""
        (world.context.repo / "nodes.yml").touch()
        patch.setattr(docker, "services", lambda _stack: {"dovecot-store-a": {"ID": "s1"}})
        patch.setattr(docker, "tasks", lambda _stack: {"s1": [self.task("running"), self.task("shutdown")]})
        self.deploy()

    def task(self, state: str) -> dict[str, Any]:
        held = self.held if state == "running" else "shop-mail.dovecot_db-0123456789ab"
        others = [{"SecretName": "shop-mail.internal_ca_crt-0123456789ab"}, {"SecretName": held}]
        return {"DesiredState": state, "Spec": {"ContainerSpec": {"Secrets": others}}}

    def deploy(self) -> None:
        data = (self.world.context.repo / "secrets" / "dovecot_db.conf").read_bytes()
        self.held = objects.made("secret", self.world.context.project_name, "dovecot_db", data, "").name
        state = self.world.load()
        state["used"][self.name] = self.world.secret(self.name)
        self.world.store(state)

    def finished(self) -> bool:
        try:
            rotate(self.world.context, self.name, lambda: "", finish=True)
        except Refused as refusal:
            assert "dovecot-store-a" in str(refusal)
            return False
        return True


@pytest.mark.parametrize("in_the_second", [False, True])
def test_on_several_hosts_killed_at_any_step_both_work_until_all_tasks_have_the_new_one(
    context: Context, monkeypatch: pytest.MonkeyPatch, in_the_second: bool
) -> None:
    name = "dovecot_db_password"
    world = World(context, monkeypatch)
    tasks, step, code = Deployed(world, name, monkeypatch), 0, 137
    while code == 137:
        step += 1
        before = world.secret(name)
        if in_the_second:
            rotate(context, name, lambda: "", finish=False)
            assert not tasks.finished(), "no task has it yet"
            assert len(world.load()["allowed"][name]) == 2
            tasks.deploy()
        code = killed(world, name, step, in_the_second)
        if (context.repo / "secrets" / f"{journal.FILE}-{name}").exists():
            with pytest.raises(Refused, match="under way"):
                rotate(context, name, lambda: "", finish=False)
            while not tasks.finished():
                tasks.deploy()
        assert world.load()["allowed"][name] == [world.secret(name)] != [before]
    assert code == 0 and step > 5
