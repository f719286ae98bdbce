"""`mailctl swarm` against a Swarm in memory: what a deployment that fails anywhere leaves behind."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import fake_swarm
import pytest
import yaml
from conftest import Cli
from fake_swarm import DIGEST, HOSTS, FakeSwarm, Stopped, refused
from fakes import FakeDocker
from swarm_world import Tables

from mailctl.swarm import converge, docker, migrate, preflight

NODES = "".join(
    f"  - {{name: mail{n}, address: 10.0.0.{n}, database: {n}, shard: {'abc'[n - 1]}}}\n" for n in (1, 2, 3)
)


class Repo:
    """A repository of three services; `settings` change one of them."""

    def __init__(self, root: Path, fake: FakeDocker) -> None:
        self.root, self.fake = root, fake
        (root / "nodes.yml").write_text(f"nodes:\n{NODES}")
        (root / "ssd").mkdir()
        env = f"SWARM_REGISTRY=r:5000\nCOMPOSE_PROJECT_NAME=m\nSSD_PATH={root}/ssd\n"
        (root / ".env").write_text(env)
        (root / "conf").write_text("one")
        (root / "word").write_text("secret")
        self.describe()

    def describe(self, without: str = "", **settings: dict[str, Any]) -> None:
        mount = {"type": "bind", "source": str(self.root / "conf"), "target": "/etc/conf", "read_only": True}
        services: dict[str, dict[str, Any]] = {
            "db": {"image": "db", "x-per": "shard", "secrets": [{"source": "word"}]},
            "mailserver-api": {"build": {"context": "."}, "image": "mailserver-api", "volumes": [mount]},
            "web": {"image": "web", "deploy": {"replicas": 2}},
        }
        services["mailserver-api"]["depends_on"] = services["web"]["depends_on"] = {"db": {}}
        for name, changes in settings.items():
            services.setdefault(name.replace("_", "-"), {}).update(changes)
        services.pop(without, None)
        merged = {
            "name": "m",
            "services": services,
            "networks": {"mail": {"name": "m_mail", "internal": True}},
        }
        merged["secrets"] = {
            name: {"name": f"m_{name}", "file": str(self.root / "word")}
            for name in ("word", "mariadb_owner_password")
        }
        self.fake.answer("config", yaml.safe_dump(merged))


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> FakeSwarm:
    fake = FakeSwarm()
    monkeypatch.setattr(docker, "run", fake.run)
    monkeypatch.setattr(converge, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(converge, "PATIENCE", 0.05)
    monkeypatch.setattr(preflight, "PROBE_SECONDS", 0.0)
    return fake


@pytest.fixture
def mail(repo: Path, docker: FakeDocker) -> Repo:
    return Repo(repo, docker)


def now(swarm: FakeSwarm) -> dict[str, Any]:
    """What runs: each service's specification."""
    return {name: each["Spec"] for name, each in swarm.services.items()}


def test_a_deployment_brings_services_in_waves_with_configs_secrets_and_a_record(
    mail: Repo, swarm: FakeSwarm, cli: Cli
) -> None:
    done = json.loads(cli("swarm", "deploy", "--json").stdout)
    assert done["services"] == ["db-a", "db-b", "db-c", "mailserver-api", "web"]
    waves = [call for call in swarm.calls if call[:2] == ("stack", "deploy")]
    assert len(waves) == 2
    assert all(
        each["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].endswith(DIGEST)
        for each in swarm.services.values()
    )
    names = {name.rpartition("-")[0] for kind in ("config", "secret") for name in swarm.kept[kind]}
    assert {"m.conf", "m.word"} < names and len(names) == 3, names
    status = json.loads(cli("swarm", "status", "--json").stdout)
    assert status["ok"] and {each["name"]: each["wanted"] for each in status["services"]}["web"] == 2


def test_what_is_no_more_in_the_file_goes_after_the_rest_is_ready(
    mail: Repo, swarm: FakeSwarm, cli: Cli
) -> None:
    assert cli("swarm", "deploy").exit_code == 0
    mail.describe(without="web")
    assert json.loads(cli("swarm", "deploy", "--json").stdout)["removed"] == ["web"]
    assert "m_web" not in swarm.services


def test_an_old_config_goes_once_neither_the_service_nor_its_rollback_names_it(
    mail: Repo, swarm: FakeSwarm, cli: Cli
) -> None:
    for text in ("one", "two", "three"):
        (mail.root / "conf").write_text(text)
        assert cli("swarm", "deploy").exit_code == 0
    assert sum(name.startswith("m.conf-") for name in swarm.kept["config"]) == 2
    assert sum(name.startswith("m.stack-") for name in swarm.kept["config"]) == 1


def test_an_update_that_is_rolled_back_takes_the_whole_stack_with_it(
    mail: Repo, swarm: FakeSwarm, cli: Cli
) -> None:
    assert cli("swarm", "deploy").exit_code == 0
    before, objects = now(swarm), {kind: set(each) for kind, each in swarm.kept.items()}
    mail.describe(db={"environment": {"A": "1"}}, web={"environment": {"A": "1"}})
    (mail.root / "conf").write_text("two")
    swarm.unhealthy = {"web"}
    result = cli("swarm", "deploy", "--json")
    assert result.exit_code == 1
    problems = json.loads(result.stdout)["problems"]
    assert problems[0]["field"] == "service web" and "runs again" in problems[1]["wrong"]
    assert "what it said last" in json.loads(result.stdout)["details"]
    assert now(swarm) == before
    assert {kind: set(each) for kind, each in swarm.kept.items()} == objects


def test_a_first_deployment_that_fails_leaves_nothing(mail: Repo, swarm: FakeSwarm, cli: Cli) -> None:
    swarm.unhealthy = {"web"}
    result = cli("swarm", "deploy")
    assert result.exit_code == 1 and "first deployment" in result.stderr.replace("\n        ", " ")
    assert not swarm.services and not swarm.kept["config"] and not swarm.kept["secret"]


def test_wherever_a_deployment_fails_the_old_stack_runs(mail: Repo, swarm: FakeSwarm, cli: Cli) -> None:
    """Each call to the engine fails in turn; only after every service was updated may the new one stand."""
    assert cli("swarm", "deploy").exit_code == 0
    before = now(swarm)
    number, results = 0, []
    while True:
        number += 1
        mail.describe(db={"environment": {"N": str(number)}}, web={"environment": {"N": str(number)}})
        swarm.calls.clear()
        swarm.fails_at = number, refused("no")
        result = cli("swarm", "deploy", "--json")
        swarm.fails_at = None
        if result.exit_code == 0:
            if len(swarm.calls) < number:
                break
            before = now(swarm)  # it was one whose failure does not matter
            continue
        results.append(number)
        new = {name for name, spec in now(swarm).items() if spec != before[name]}
        assert not new or new == {"m_db-a", "m_db-b", "m_db-c", "m_web"}, (
            f"call {number}: {swarm.calls[number - 1]}"
        )
        before = now(swarm)
    assert len(results) > 20


def test_a_deployment_that_was_killed_is_undone_or_done_by_the_next_command(
    mail: Repo, swarm: FakeSwarm, cli: Cli
) -> None:
    assert cli("swarm", "deploy").exit_code == 0
    before = now(swarm)
    mail.describe(db={"environment": {"A": "1"}}, web={"environment": {"A": "1"}})
    second = next(n for n in range(len(swarm.calls), 0, -1) if swarm.calls[n - 1][:2] == ("stack", "deploy"))
    swarm.calls.clear()
    swarm.fails_at = second, Stopped()
    assert isinstance(cli("swarm", "deploy").exception, Stopped)
    swarm.fails_at = None
    assert now(swarm)["m_db-a"] != before["m_db-a"] and now(swarm)["m_web"] == before["m_web"]
    assert cli("swarm", "rollback", "--json").exit_code == 0
    assert now(swarm) == before
    assert cli("swarm", "deploy").exit_code == 0
    assert now(swarm)["m_web"] != before["m_web"]


def test_nothing_is_built_or_made_when_the_file_cannot_be_a_stack(
    mail: Repo, swarm: FakeSwarm, cli: Cli
) -> None:
    mail.describe(web={"privileged": True, "pid": "host"})
    result = cli("swarm", "deploy", "--json")
    fields = [each["field"] for each in json.loads(result.stdout)["problems"]]
    assert sorted(fields) == ["web: pid", "web: privileged"]
    made = [call for call in swarm.calls if call[1] in ("create", "deploy") or call[0] in ("push", "tag")]
    assert made == [] and not mail.fake.calls_with("build")


def test_a_network_that_exists_with_other_settings_is_told_before(
    mail: Repo, swarm: FakeSwarm, cli: Cli
) -> None:
    assert cli("swarm", "deploy").exit_code == 0
    swarm.kept["network"]["m_mail"]["Internal"] = False
    before = now(swarm)
    mail.describe(web={"environment": {"A": "1"}})
    result = cli("swarm", "deploy")
    assert result.exit_code == 1 and "network m_mail" in result.stderr
    assert now(swarm) == before


def test_a_host_that_is_down_stops_a_deployment_unless_it_is_named(
    mail: Repo, swarm: FakeSwarm, cli: Cli
) -> None:
    assert cli("swarm", "deploy").exit_code == 0
    swarm.nodes[2]["Status"]["State"] = "down"
    swarm.services["m_db-c"]["tasks"] = []
    swarm.unhealthy = {"db-c", "dav"}
    placement = {"constraints": ["node.labels.mail.shard == c"]}
    mail.describe(db={"environment": {"A": "1"}}, dav={"image": "dav", "deploy": {"placement": placement}})
    assert "host mail3" in cli("swarm", "deploy").stderr
    assert "mail9" in cli("swarm", "deploy", "--despite", "mail9").stderr
    assert cli("swarm", "deploy", "--despite", "mail3").exit_code == 0
    assert now(swarm)["m_db-a"]["TaskTemplate"]["ContainerSpec"]["Env"] == {"A": "1"}


@pytest.fixture
def accounts(mail: Repo, swarm: FakeSwarm, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """A stack with usermgmt runs; what is deployed next has other images."""
    tables = Tables()
    monkeypatch.setattr(migrate, "Schema", lambda *_: tables)
    monkeypatch.setattr(migrate, "connected", nullcontext)
    owner = {"secrets": [{"source": "mariadb_owner_password"}]}
    mail.describe(usermgmt={"image": "usermgmt", "networks": {"mail": None}, **owner})
    assert cli("swarm", "deploy").exit_code == 0 and not swarm.jobs
    monkeypatch.setattr(fake_swarm, "DIGEST", f"sha256:{'9' * 64}")
    return tables


def test_a_deployment_by_hand_migrates_before_a_service_changes_if_a_migration_waits(
    accounts: Tables, swarm: FakeSwarm, cli: Cli
) -> None:
    accounts.known = ("1", "2")
    swarm.calls.clear()
    assert cli("swarm", "deploy").exit_code == 0
    assert [name for name, _ in swarm.jobs] == ["migrate"]
    assert swarm.jobs[0][1]["DB_USER"] == "mailserver" and "m_migrate" not in swarm.services
    deployed = [call for call in swarm.calls if call[:2] in (("stack", "deploy"), ("service", "rm"))]
    assert [call[:2] for call in deployed[:3]] == [("service", "rm"), ("stack", "deploy"), ("service", "rm")]


@pytest.mark.parametrize(
    ("revision", "said"), [("2", ""), ("9", ""), (None, "cannot be asked on this host")], ids=str
)
def test_what_waits_for_no_migration_is_deployed_without_and_what_nobody_knows_is_not(
    accounts: Tables, swarm: FakeSwarm, cli: Cli, revision: str | None, said: str
) -> None:
    accounts.known, accounts.revision = ("1", "2"), revision
    before = now(swarm)
    result = cli("swarm", "deploy")
    assert swarm.jobs == [] and (now(swarm) != before) == (not said) == (result.exit_code == 0)
    assert said in " ".join(result.stderr.split())


def test_a_migration_that_breaks_off_leaves_the_old_stack_and_the_tables_as_they_were_copied(
    accounts: Tables, swarm: FakeSwarm, cli: Cli
) -> None:
    accounts.known, swarm.jobs_fail_on = ("1", "2"), set(HOSTS)
    before = now(swarm)
    result = cli("swarm", "deploy", "--json")
    assert result.exit_code == 1 and "the migration broke off" in result.stdout
    assert now(swarm) == before and len(accounts.restored) == 1


def test_preflight_asks_all_hosts_and_leaves_nothing(mail: Repo, swarm: FakeSwarm, cli: Cli) -> None:
    assert cli("swarm", "preflight", "--json").exit_code == 0
    assert not swarm.kept["config"] and not swarm.kept["network"]
    swarm.probes["mail2"] = {"no_new_privileges": False}
    del swarm.probes["mail3"]
    result = cli("swarm", "preflight")
    assert result.exit_code == 1
    assert "may gain privileges" in result.stdout and "its probe said nothing" in result.stdout


def test_images_are_built_pushed_and_named_by_their_digest_in_the_registry(
    mail: Repo, swarm: FakeSwarm, cli: Cli
) -> None:
    found = json.loads(cli("swarm", "push", "--json").stdout)["images"]
    assert found == {name: f"r:5000/m/{name}@{DIGEST}" for name in ("db", "mailserver-api", "web")}
    assert mail.fake.calls_with("build")[0]["arguments"][-2:] == ["--quiet", "mailserver-api"]
    assert (
        json.loads(cli("swarm", "render", "--json").stdout)["stack"]["services"]["web"]["image"]
        == found["web"]
    )


@pytest.mark.parametrize("registry", ["", "https://r:5000", "r:5000/m@sha256:1"])
def test_a_registry_that_cannot_be_one_is_refused_before_anything_is_built(
    mail: Repo, swarm: FakeSwarm, cli: Cli, registry: str
) -> None:
    (mail.root / ".env").write_text(f"SWARM_REGISTRY={registry}\n")
    result = cli("swarm", "push")
    assert result.exit_code == 1 and "SWARM_REGISTRY" in result.stderr
    assert not mail.fake.calls_with("build")


def test_a_task_that_may_more_than_the_model_says_is_told(
    mail: Repo, swarm: FakeSwarm, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert json.loads(cli("swarm", "check", "--json").stdout) == {"ok": True, "tasks": 0, "differing": {}}
    for name, text in (("status", "CapBnd:\t0\nNoNewPrivs:\t0\n"), ("mountinfo", "")):
        (tmp_path / name).write_text(text)
    swarm.containers = [
        {
            "Id": "1",
            "Name": "/m_web.1.x",
            "State": {"Pid": f"../{tmp_path}".removeprefix("/")},
            "Config": {"Labels": {"com.docker.swarm.service.name": "m_web"}},
            "HostConfig": {"ReadonlyRootfs": False, "Privileged": False, "Memory": 0, "NanoCpus": 0},
            "NetworkSettings": {"Networks": {}},
            "Mounts": [],
        }
    ]
    result = cli("swarm", "check", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["differing"] == {
        "m_web.1.x": ["no_new_privileges is False, the model says True"]
    }
