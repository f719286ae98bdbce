"""The stack on three hosts: deployed, updated, rolled back; hosts that die or are drained; hardening."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from tests.places import PLATFORM
from tests.stack.stack import eventually, run
from tests.swarm.conftest import PREFIX
from tests.swarm.engines import Engines, Host

sys.path.insert(0, str(PLATFORM / "mailctl" / "src"))
from mailctl.swarm import hardening

PROJECT = Path(__file__).parent / "project"
IMAGES = ("standin/python:3.13", "standin/nginx:1.30-alpine", "standin/valkey:9-alpine")
PORT = int(os.environ.get("STACK_FIRST_PORT", "26000")) + 90
SERVE = "/opt/web/serve.py"
series = pytest.mark.series("SWARM")


@dataclass
class Small:
    """The small server of project/, whose operator sits at one of the hosts."""

    repo: Path
    engines: Engines
    at: Host

    def mailctl(self, *words: str, ok: bool = True) -> dict:
        """Run `mailctl … --json` and return its document; it must succeed, or must not."""
        env = {**os.environ, **self.at.env, "PYTHONPATH": str(PLATFORM / "mailctl" / "src")}
        command = [sys.executable, "-m", "mailctl", *words, "--json"]
        done = subprocess.run(
            command, cwd=self.repo, env=env, capture_output=True, text=True, timeout=400, check=False
        )
        assert (done.returncode == 0) == ok, (
            f"{words} exited {done.returncode}:\n{done.stdout}\n{done.stderr[-3000:]}"
        )
        return json.loads(done.stdout)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.repo / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def python(self, *lines: str) -> str:
        """What some lines print, or refuse, in a process of their own beside mailctl."""
        env = {**os.environ, **self.at.env, "PYTHONPATH": str(PLATFORM / "mailctl" / "src")}
        first = "from mailctl.swarm import deploy, forgotten, jobs, kept"
        command = [sys.executable, "-c", "\n".join((first, *lines))]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
        return done.stdout + done.stderr

    def look(self) -> str:
        """What the look of the leader's agent says: none runs here, so a test does what its timer does."""
        return self.python("forgotten.look('small', print)")

    def says(self, host: Host) -> str:
        """What a host's nginx answers: the host of the task behind it, a price, the secret."""
        with urllib.request.urlopen(f"http://{host.address}:8080/", timeout=5) as answer:
            return answer.read().decode().strip()

    def service(self, name: str) -> dict:
        return next(each for each in self.mailctl_status()["services"] if each["name"] == name)

    def mailctl_status(self) -> dict:
        """The status, which is not good while a host is down."""
        env = {**os.environ, **self.at.env, "PYTHONPATH": str(PLATFORM / "mailctl" / "src")}
        command = [sys.executable, "-m", "mailctl", "swarm", "status", "--json"]
        done = subprocess.run(
            command, cwd=self.repo, env=env, capture_output=True, text=True, timeout=200, check=False
        )
        # Without a leader, for some seconds, the engine answers nothing: ask again.
        assert '"services"' in done.stdout, done.stdout + done.stderr
        return json.loads(done.stdout)

    def specs(self) -> dict[str, object]:
        """What each service is made of, as the engine has it."""
        ids = self.at.docker("service", "ls", "--quiet").split()
        found = json.loads(self.at.docker("service", "inspect", *ids))
        return {each["Spec"]["Name"]: each["Spec"]["TaskTemplate"]["ContainerSpec"] for each in found}

    def objects(self) -> set[str]:
        """The names of everything that a deployment makes."""
        kinds = ("config", "secret", "network")
        names = {
            line for kind in kinds for line in self.at.docker(kind, "ls", "--format", "{{.Name}}").split()
        }
        return names | set(self.at.docker("service", "ls", "--format", "{{.Name}}").split())


@pytest.fixture(scope="module")
def small(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The small server, deployed."""
    repo = tmp_path_factory.mktemp("small") / "repo"
    shutil.copytree(PROJECT, repo)
    (repo / "answers.yml").touch()
    (repo / "nodes.yml").write_text(engines.inventory())
    (repo.parent / "ssd").mkdir()
    (repo / ".env").write_text(f"SWARM_REGISTRY={engines.registry}\nSSD_PATH={repo.parent}/ssd\n")
    (repo / "secrets").mkdir()
    (repo / "secrets" / "word").write_text("one\n")
    # The second one deploys when the first is lost: any manager may, if it can fetch or build the images.
    engines.load(IMAGES, *engines.hosts[:2])
    made = Small(repo, engines, engines.hosts[0])
    made.mailctl("swarm", "push")
    made.mailctl("swarm", "deploy")
    return made


@pytest.fixture
def asking(small: Small) -> Iterator[list[str]]:
    """Somebody who asks the third host for the page all the time; the list has what failed."""
    failed: list[str] = []
    over, began = Event(), monotonic()

    def ask() -> None:
        while not over.wait(0.2):
            try:
                small.says(small.engines.hosts[2])
            except OSError as error:
                failed.append(f"after {monotonic() - began:.1f} s: {error}")

    thread = threading.Thread(target=ask)
    thread.start()
    yield failed
    over.set()
    thread.join()


def test_every_host_is_asked_about_every_other(small: Small) -> None:
    checks = {each["name"]: each["mark"] for each in small.mailctl("swarm", "preflight")["checks"]}
    names = [host.name for host in small.engines.hosts]
    assert checks == {name: "ok" for host in names for name in (host, f"{host}: overlay")}
    # Each engine forgets the network a moment after its last task.
    eventually(lambda: not [each for each in small.objects() if "probe" in each], limit=180)


def test_the_hosts_work_behind_the_firewall_of_setup_host_which_keeps_strangers_from_the_engines(
    small: Small,
) -> None:
    for host in small.engines.hosts:
        assert small.says(host), "what a service publishes passes it"
    for port in (2377, 7946):
        with pytest.raises(TimeoutError):
            socket.create_connection((small.at.address, port), timeout=1)


@series
def test_an_encrypted_overlay_is_used_only_where_the_kernel_can_do_it(small: Small) -> None:
    state = "src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 mode transport"
    key = f"aead 'rfc4106(gcm(aes))' 0x{'11' * 20} 128"
    able = (
        small.at.shell(f"ip xfrm state add {state} {key} 2>/dev/null && echo yes || echo no").strip() == "yes"
    )
    text = (small.repo / "nodes.yml").read_text()
    (small.repo / "nodes.yml").write_text(small.engines.inventory(encrypted_overlay=True))
    checks = small.mailctl("swarm", "preflight", ok=able)["checks"]
    (small.repo / "nodes.yml").write_text(text)
    found = [each for each in checks if each["name"].endswith("encrypted overlay")]
    assert len(found) == 3 and all(("does not reach" in each["found"]) != able for each in found)


def test_the_page_goes_through_the_stack_with_secret_environment_and_configs(small: Small) -> None:
    for host in small.engines.hosts:
        node, price, word = small.says(host).split()
        assert (price, word) == ("5$", "one") and node in {each.name for each in small.engines.hosts}
    listed = small.engines.hosts[2].shell(
        "docker exec $(docker ps -q -f name=small_nginx) ls /etc/nginx/conf.d"
    )
    assert listed.split() == ["small.conf"], "what the image brings in that folder is hidden, as by a mount"


def test_tasks_are_as_hardened_as_the_model_says_and_as_on_a_single_host(small: Small) -> None:
    single = f"{PREFIX}-single"
    compose = ("docker", "compose", "--project-name", single)
    env = {"MEMBER": "1", "SMALL_PORT": str(PORT)}
    model = json.loads(run(*compose, "config", "--format", "json", cwd=small.repo, env=env))
    try:
        run(*compose, "up", "--detach", "--wait", "--quiet-pull", cwd=small.repo, env=env)
        looked = 0
        for service, swarm in (
            ("store", "store-1"),
            ("mailserver-api", "mailserver-api"),
            ("nginx", "nginx"),
        ):
            id_ = run(*compose, "ps", "--quiet", service, cwd=small.repo, env=env).splitlines()[0]
            alone = json.loads(run("docker", "inspect", id_, cwd=small.repo))[0]
            wanted = hardening.expected(model["services"][service], model["networks"])
            of_single = hardening.found(alone, lambda path: Path(path).read_text())
            assert hardening.differences(wanted, of_single) == []
            for host in small.engines.hosts:
                for task in host.tasks(f"small_{swarm}"):
                    real = hardening.found(task, lambda path, host=host: host.shell(f"cat {path}"))
                    renamed = real | {
                        "networks": [f"{single}{each.removeprefix('small')}" for each in real["networks"]]
                    }
                    told = hardening.differences(wanted, renamed)
                    assert told == [], f"{swarm} on {host.name}"
                    looked += 1
        assert looked == 6
    finally:
        run(*compose, "down", "--volumes", "--timeout", "1", cwd=small.repo, env=env)


def test_a_job_runs_once_on_every_host_with_folders_of_its_own_and_tells_where_it_failed(
    small: Small,
) -> None:
    write = "'sh', '-c', 'id -u; touch /run/own/by-job && ! ls /run/own | grep -v by-job"
    line = "jobs.run('small', deploy.last_good('small'), jobs.Job('mailserver-api', 'job', ({}),"
    said = small.python(
        (line + " everywhere=True, networks=('web',)))").format(f"{write}'"),
        (line + " networks=('web',)))").format("'true',"),
        "print('both ended')",
    )
    assert said == "both ended\n"
    second = small.engines.hosts[1].name
    fails = f"{write} && test $HOST != {second}'"
    said = small.python((line + " everywhere=True, networks=('web',)))").format(fails))
    assert f"job job: failed on {second}" in said, said
    assert not [each for each in small.objects() if each == "small_job"]


def test_two_managers_never_deploy_at_once(small: Small) -> None:
    small.at = small.engines.hosts[1]
    code = ("with kept.taken('small', 'mailctl deploy', 'c'):", "    print(input())")
    env = {**os.environ, **small.at.env, "PYTHONPATH": str(PLATFORM / "mailctl" / "src")}
    command = [sys.executable, "-c", "\n".join(("from mailctl.swarm import kept", *code))]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as other:
        small.at = small.engines.hosts[0]
        eventually(lambda: "small.deployment" in small.objects(), limit=180)
        refused = small.mailctl("swarm", "rollback", ok=False)
        other.communicate("done\n", timeout=60)
    assert small.engines.hosts[1].name in refused["problems"][0]["wrong"]
    assert "small.deployment" not in small.objects()


@series
def test_a_changed_secret_reaches_the_tasks_and_the_old_one_goes_with_the_next_change(small: Small) -> None:
    (small.repo / "secrets" / "word").write_text("two\n")
    small.mailctl("swarm", "deploy")
    eventually(lambda: small.says(small.at).endswith("two"), limit=20)
    assert len([each for each in small.objects() if each.startswith("small.word-")]) == 2, (
        "the rollback's is kept"
    )
    (small.repo / "secrets" / "word").write_text("one\n")
    small.mailctl("swarm", "deploy")
    eventually(lambda: small.says(small.at).endswith("one"), limit=20)


def test_what_is_not_mapped_is_refused_before_anything_exists(small: Small) -> None:
    before = small.objects(), small.specs()
    small.edit("docker-compose.yml", "cap_add: [SYS_CHROOT]", "cap_add: [SYS_CHROOT]\n    privileged: true")
    refused = small.mailctl("swarm", "deploy", ok=False)
    small.edit("docker-compose.yml", "\n    privileged: true", "")
    assert [each["field"] for each in refused["problems"]] == ["mailserver-api: privileged"]
    assert (small.objects(), small.specs()) == before


@series
def test_a_bad_update_rolls_back_and_the_whole_stack_with_it(small: Small, asking: list[str]) -> None:
    before = small.specs()
    small.edit("docker-compose.yml", SERVE, "/opt/web/gone.py")
    small.edit("docker-compose.yml", "TZ_OF_STORE", "TZ_OF_STORE_2")
    refused = small.mailctl("swarm", "deploy", ok=False)
    small.edit("docker-compose.yml", "/opt/web/gone.py", SERVE)
    small.edit("docker-compose.yml", "TZ_OF_STORE_2", "TZ_OF_STORE")
    assert [each["field"] for each in refused["problems"]] == ["service mailserver-api", "stack small"]
    assert "roll" in refused["problems"][0]["wrong"] and "gone.py" in refused["details"]
    assert small.specs() == before, "what was updated before it is the old one again"
    assert asking == [], "the other task answered all the while"


@series
def test_what_the_engine_refuses_half_way_leaves_the_old_stack(small: Small) -> None:
    before = small.objects(), small.specs()
    small.edit("docker-compose.yml", 'PRICE: "5$$"', 'PRICE: "6$$"')
    small.edit("docker-compose.yml", 'limits: {cpus: "0.2", memory: 65M', 'limits: {cpus: "0.2", memory: 1M')
    refused = small.mailctl("swarm", "deploy", ok=False)
    small.edit("docker-compose.yml", 'PRICE: "6$$"', 'PRICE: "5$$"')
    small.edit("docker-compose.yml", 'limits: {cpus: "0.2", memory: 1M', 'limits: {cpus: "0.2", memory: 65M')
    assert "Must be at least 4MiB" in refused["details"], refused
    assert "runs again" in refused["problems"][-1]["wrong"]
    assert (small.objects(), small.specs()) == before


@series
def test_a_drained_host_is_empty_while_the_others_answer(small: Small, asking: list[str]) -> None:
    second = small.engines.hosts[1]
    small.at.docker("node", "update", "--availability", "drain", second.name)
    eventually(lambda: not second.docker("ps", "--quiet"), limit=60)
    refused = small.mailctl("swarm", "deploy", ok=False)
    assert [each["field"] for each in refused["problems"]] == [f"host {second.name}"]
    small.at.docker("node", "update", "--availability", "active", second.name)
    eventually(lambda: small.service("store-2")["running"] == 1, limit=60)
    assert asking == []


@series
def test_what_the_engine_forgot_while_its_host_was_missing_is_started_once_by_the_look(small: Small) -> None:
    third = small.engines.hosts[2]
    small.at.docker("node", "update", "--label-rm", "mail.database", third.name)
    eventually(lambda: small.service("store-3")["running"] == 0, limit=60)
    # A new revision of the same, and something to place: the engine looks at all that waits.
    small.mailctl("swarm", "rollback", "--despite", third.name)
    job = "jobs.Job('mailserver-api', 'job', ('true',), networks=('web',))"
    assert small.python(f"jobs.run('small', deploy.last_good('small'), {job})") == ""
    small.at.docker("node", "update", "--label-add", "mail.database=3", third.name)
    said: list[str] = []
    eventually(lambda: said.append(small.look()) or said[-1].startswith("started store-3 again"), limit=90)
    eventually(lambda: small.service("store-3")["hosts"] == [third.name], limit=60)
    before = [each["Id"] for each in third.tasks("small_store-3")]
    assert small.look() == ""
    small.mailctl("swarm", "deploy")
    assert [each["Id"] for each in third.tasks("small_store-3")] == before, "it was not started once more"


@series
def test_the_leader_dies_and_its_pinned_service_waits_for_it_with_its_data(
    small: Small, asking: list[str]
) -> None:
    first, second, _ = small.engines.hosts
    first.shell("docker exec $(docker ps -q -f name=small_store-1) valkey-cli set kept here")
    small.python("import os", "with kept.taken('small', 'mailctl deploy', 'c'):", "    os._exit(9)")
    assert "small.deployment" in small.objects(), "it died in the middle"
    # There is no registry of others here: whoever deploys has their images.
    small.engines.load(IMAGES, second)
    first.kill()
    small.at = second
    others = sorted(host.name for host in small.engines.hosts if host is not first)
    eventually(lambda: small.service("mailserver-api")["hosts"] == others, limit=60)
    assert small.service("store-1")["running"] == 0, "it never starts elsewhere"
    assert asking == [], "nobody who asked another host noticed"
    (small.repo / "secrets" / "word").write_text("three\n")
    assert small.mailctl("swarm", "deploy", ok=False)["problems"][0]["field"] == f"host {first.name}"
    small.mailctl("swarm", "deploy", "--despite", first.name)
    assert "small.deployment" not in small.objects(), "what the dead host had begun was taken over"
    eventually(lambda: small.says(second).endswith("three"), limit=20)
    first.start()
    # The engine may have forgotten it, and does after the tests above: then the look starts it.
    eventually(lambda: small.look() == "" and small.service("store-1")["hosts"] == [first.name], limit=180)
    found = first.shell("docker exec $(docker ps -q -f name=small_store-1) valkey-cli get kept")
    assert found.strip() == "here"
    before = [each["Id"] for each in first.tasks("small_store-1")]
    assert small.mailctl("swarm", "rollback")["services"], "any manager has the last good stack"
    assert [each["Id"] for each in first.tasks("small_store-1")] == before, "it was not started once more"
