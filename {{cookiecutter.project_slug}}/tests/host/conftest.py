"""The host as it is, asked once: the repository in compose's eyes, containers, settings, every endpoint."""

import json
import shlex
import time
from pathlib import Path

import pytest
import testinfra
import yaml

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
# Of .env, only what is no secret.
SETTINGS = ("BACKUP_BUCKET", "DEPLOY_METHOD", "HOST_OPEN_PORTS", "HOST_USER", "LAN_ADDRESS", "WEBMAIL_HOST")
STACK, TASK = "com.docker.stack.namespace", "com.docker.swarm.service.name"
FIGURES = pytest.StashKey[list]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--path", default=str(REPOSITORY), help="Where the repository is on the host.")
    parser.addoption("--results", help="A file that gets every test and every figure, as JSON.")


@pytest.fixture(scope="session")
def expected() -> dict:
    return yaml.safe_load((HERE / "expected.yml").read_text("utf-8"))


class Server:
    """The host behind testinfra, with what several tests want to know."""

    def __init__(self, host, path: str) -> None:
        self.host = host
        self.path = path
        self.compose = json.loads(self.run("docker compose config --format json"))
        self.project = self.compose["name"]
        self.services = self.compose["services"]
        self.settings = self._settings()
        devices = {k: v.get("driver_opts", {}).get("device", "") for k, v in self.compose["volumes"].items()}
        self.disks = {
            "ssd": str(Path(devices["db_data"]).parent),
            "hdd": str(Path(devices["mail_data"]).parent),
        }
        self.several = self.call("test -f nodes.yml").rc == 0
        self.containers = self._tasks() if self.several else self._containers()

    def run(self, line: str) -> str:
        """What a line of shell prints in the repository's folder; it must succeed."""
        done = self.call(line)
        assert done.rc == 0, f"{line}\nfailed with exit code {done.rc}: {done.stderr[-2000:]}"
        return done.stdout

    def call(self, line: str):
        return self.host.run(f"cd {shlex.quote(self.path)} && {line}")

    def needs(self, *services: str) -> None:
        """Leave a test out whose service does not run: test_every_service_is_healthy says so, once."""
        down = [name for name in services if self.health(name) != "healthy"]
        if down:
            pytest.skip(f"{', '.join(down)} not healthy")

    def health(self, service: str) -> str:
        state = self.containers.get(service, {}).get("State", {"Status": "absent"})
        if state["Status"] != "running":
            return state["Status"]
        return (state.get("Health") or {"Status": "running"})["Status"]

    def _settings(self) -> dict[str, str]:
        text = self.run(f"grep -E '^({'|'.join(SETTINGS)})=' .env || true")
        pairs = (line.partition("=")[::2] for line in text.splitlines())
        return {name: value.strip().strip("\"'") for name, value in pairs}

    def inside(self, service: str) -> str:
        """The words that run a command in a service's container."""
        if self.several:
            return f"docker exec {self.containers[service]['Id']}"
        return f"docker compose exec -T {service}"

    def _tasks(self) -> dict[str, dict]:
        """The tasks that run on this host of several, by the services' names in docker-compose.yml."""
        names = self.run(f"docker ps --quiet --filter label={STACK}={self.project}").split()
        found = json.loads(self.run(f"docker inspect {' '.join(names)}")) if names else []
        tasks = {}
        for one in found:
            name = one["Config"]["Labels"][TASK].removeprefix(f"{self.project}_")
            # One of the members of a service: mariadb-2.
            tasks[name if name in self.services else name.rpartition("-")[0]] = one
        return tasks

    def _containers(self) -> dict[str, dict]:
        label = f"label=com.docker.compose.project={self.project}"
        # One-off containers of `docker compose run` come and go.
        names = self.run(
            f"docker ps --all --quiet --filter {label} --filter label=com.docker.compose.oneoff=False"
        )
        found = json.loads(self.run(f"docker inspect {' '.join(names.split())}")) if names.strip() else []
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}


@pytest.fixture(scope="session")
def server(request) -> Server:
    """The host that `--hosts` names; testinfra's own fixture ends with each module, and this asks once."""
    chosen = request.config.option
    host = testinfra.get_host(chosen.hosts or "local://", sudo=chosen.sudo, ssh_config=chosen.ssh_config)
    if host.run("id -u").stdout.strip() != "0":
        pytest.exit("the host can only be verified by root: make verify ARGS=--sudo", returncode=2)
    return Server(host, request.config.getoption("path"))


@pytest.fixture(scope="session")
def endpoints(server) -> dict[str, dict]:
    """What SMTP, IMAP and HTTP answer to one who comes as the edge does."""
    names = json.dumps(
        {
            "webmail": server.settings["WEBMAIL_HOST"],
            "account": server.services["usermgmt"]["environment"]["ACCOUNT_HOST"],
            "admin": server.services["usermgmt"]["environment"]["ADMIN_HOST"],
        }
    )
    server.needs("mailserver-api")
    script = (HERE / "probe.py").read_text("utf-8")
    call = f"{server.inside('mailserver-api')} python -c {shlex.quote(script)} {shlex.quote(names)}"
    return json.loads(server.run(call))


@pytest.fixture(scope="session")
def status(server) -> dict:
    """What mailctl itself knows: backups with their ages. It exits 1 when a service is not healthy."""
    return json.loads(server.call(".venv/bin/mailctl status --json").stdout)


@pytest.fixture(scope="session")
def figure(request):
    """Keep a figure for the report: figure(group, name, value, limit, unit)."""
    kept = request.config.stash.setdefault(FIGURES, [])

    def keep(group: str, name: str, value: float, limit: float | None = None, unit: str = "") -> None:
        kept.append({"group": group, "name": name, "value": value, "limit": limit, "unit": unit})

    return keep


class Results:
    """Collects what the report shows."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.began, self.tests = config, time.time(), {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item):
        report = (yield).get_result()
        key = item.nodeid.partition("[")[0]
        one = self.tests.setdefault(
            key,
            {
                "name": key,
                "why": (item.function.__doc__ or "").strip(),
                "outcome": "passed",
                "seconds": 0,
                "message": "",
            },
        )
        one["seconds"] += report.duration
        if report.outcome != "passed":
            one["outcome"] = report.outcome
            one["message"] = _message(report)

    def pytest_sessionfinish(self) -> None:
        if path := self.config.getoption("results"):
            found = {
                "began": self.began,
                "seconds": time.time() - self.began,
                "tests": list(self.tests.values()),
            }
            Path(path).write_text(
                json.dumps({**found, "figures": self.config.stash.get(FIGURES, [])}), "utf-8"
            )


def _message(report) -> str:
    """What pytest says of it, without the traceback."""
    if report.outcome == "skipped":
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash else str(report.longrepr)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Results(config))
