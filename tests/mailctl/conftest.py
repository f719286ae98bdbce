"""What the tests share: a small repository, the CLI in process, a fake docker command and a fake engine."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.loaders import create_loader
from edge_repo import EdgeRepo
from fake_cloudflare import FakeCloudflare
from fakes import FakeDocker, FakeEngine
from hypothesis import HealthCheck, settings
from typer.testing import CliRunner, Result
from walk import COMMANDS, TREE, judge

from mailctl.core.context import Context
from mailctl.core.output import Output

if TYPE_CHECKING:
    from s3 import Cloud

    from mailctl.core.snapshots import Snapshot

# A machine that is busy with other tests is slow, and nothing is wrong with that. The examples are the same
# in every run: what fails in CI fails here.
settings.register_profile(
    "busy", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")

#: Classes that libraries make and forget; to make them again takes much of the time of tests.
CLASSES: dict[Any, type] = {}

ENV = "WEBMAIL_HOST=mail.example.com\nMAIL_DOMAIN=example.com\nADMIN_EMAIL=admin@example.com\n"
Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine the tests run on may reach mailctl; 80 columns as on a plain terminal."""
    for name in list(os.environ):
        if name.startswith(
            ("AWS_", "BACKUP_", "CLOUDFLARE_", "COMPOSE_", "DOCKER_", "LOCAL_", "MAILCTL_", "MYSQL_")
        ) or name in (
            "SECRETS_DIR",
            "SSD_PATH",
            "HDD_PATH",
            "LAN_ADDRESS",
            "WEBMAIL_HOST",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    # What a killed process wrote is there without it; only a machine that loses its power needs it.
    monkeypatch.setattr(os, "fsync", lambda _fd: None)


@pytest.fixture(scope="session", autouse=True)
def libraries_remember() -> Iterator[None]:
    """For the whole session: boto3 the APIs that it reads from files, pydantic the answers' classes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))
        patch.setattr("pydantic._internal._generics._GENERIC_TYPES_CACHE", CLASSES)
        yield


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the least mailctl needs, which is also the current folder."""
    root = tmp_path / "repo"
    root.mkdir(parents=True)
    (root / "answers.yml").touch()
    (root / "docker-compose.yml").write_text("name: shop-mail\nservices: {}\n")
    (root / "compose.local.yml").write_text("services: {}\n")
    (root / ".env.example").write_text(ENV)
    (root / ".env").write_text(ENV)
    (root / ".env").chmod(0o600)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def context(repo: Path) -> Context:
    return Context(repo, Output(), environ={})


@pytest.fixture
def cli(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run mailctl in process: cli("secrets", "init") returns exit code, stdout and stderr.

    With --json each document is held against its schema.
    """

    monkeypatch.setattr("typer.testing._get_command", lambda app: app)

    def run(*arguments: object, **options: Any) -> Result:
        words = [str(each) for each in arguments]
        result = CliRunner().invoke(TREE, words, **options)
        command = next((c for c in COMMANDS if tuple(words[: len(c)]) == c), None)
        if command and "--json" in words and result.stdout:
            judge(command, result.stdout)
        return result

    return run


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine API on a socket, for the real docker SDK."""
    with FakeEngine(tmp_path / "engine.sock") as fake:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{fake.path}")
        yield fake


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """A docker command on PATH that records its calls and answers as told."""
    fake = FakeDocker(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    return fake


@pytest.fixture
def free_ports(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Free ports for the local stack, set in the environment."""
    from mailctl.core.local_stack import DEFAULTS

    held = [socket.socket() for _ in DEFAULTS]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = {name: one.getsockname()[1] for name, one in zip(DEFAULTS, held, strict=True)}
    for one in held:
        one.close()
    for name, port in ports.items():
        monkeypatch.setenv(name, str(port))
    return ports


@pytest.fixture
def local_stack(
    repo: Path,
    docker: FakeDocker,
    engine: FakeEngine,
    free_ports: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three services, one built here, the images of the others present, all healthy at the second look."""
    from local_stack import running

    from mailctl.local import start

    (repo / ".env").unlink()
    schema = repo / "config/mariadb/initdb/20-schema.sql"
    schema.parent.mkdir(parents=True, exist_ok=True)
    schema.write_text("".join(f"-- Running upgrade {n} -> 000{n + 1}\nSQL of {n + 1};\n" for n in range(3)))
    monkeypatch.setattr(start, "POLL_SECONDS", 0.01)
    sink = {"host_ip": "127.0.0.1", "published": str(free_ports["LOCAL_SINK_PORT"]), "protocol": "tcp"}
    services = {
        "usermgmt": {"build": {"context": "usermgmt"}, "depends_on": {"mariadb": {}}},
        "mariadb": {"image": "mariadb:11"},
        "mailpit": {
            "image": "mailpit:1",
            "ports": [sink],
            "networks": {"egress": {"aliases": ["smtp.relay.example"]}, "local": None},
        },
    }
    volumes = {"db": {"driver_opts": {"device": str(repo / ".local/ssd/mariadb"), "o": "bind"}}, "q": None}
    docker.answer("config", json.dumps({"services": services, "volumes": volumes}))
    docker.answer("build", "#1 [usermgmt 1/2] RUN pip\n#1 DONE 1s\n#2 [usermgmt] exporting\n#2 DONE 1s\n")
    engine.images = {"mariadb:11", "mailpit:1"}
    engine.timeline = [[], running(usermgmt="created"), running(mariadb="starting"), running()]


@pytest.fixture
def cloudflare(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloudflare]:
    """An empty zone at a fake Cloudflare, for the real SDK; an unknown call or field fails the test."""
    with FakeCloudflare("example.com") as fake:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", fake.url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", fake.token)
        for limit in ("INITIAL_RETRY_DELAY", "MAX_RETRY_DELAY"):
            monkeypatch.setattr(f"cloudflare._base_client.{limit}", 0.001)
        yield fake
        assert fake.violations == []


@pytest.fixture
def edge_repo(repo: Path, docker: FakeDocker, cli: Cli) -> EdgeRepo:
    """A repository with an edge, its secrets made, and rspamd running with one key."""
    edge = EdgeRepo(repo, docker)
    assert cli("secrets", "init").exit_code == 0
    return edge


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator["Cloud"]:
    """An AWS account in memory with the backup bucket; boto3 finds no other."""
    from s3 import Cloud

    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    account = Cloud()
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.endpoint)
    yield account
    account.stop()


@pytest.fixture
def offsite(repo: Path, cloud: "Cloud", cli: Cli) -> Path:
    """A host that may copy: settings, age key, access key and an empty disk; returns HDD_PATH."""
    from s3 import BUCKET, PREFIX, REGION

    from mailctl.core import encryption, signing

    owner = encryption.new_identity()
    (repo / "owner.key").write_bytes(owner)
    settings = {
        "HDD_PATH": str(repo / "hdd"),
        "BACKUP_AGE_RECIPIENTS": owner.split()[3].decode(),
        "BACKUP_BUCKET": BUCKET,
        "BACKUP_PREFIX": PREFIX,
        "BACKUP_REGION": REGION,
    }
    with (repo / ".env").open("a") as env:
        env.writelines(f"{name}={value}\n" for name, value in settings.items())
    (repo / "secrets").mkdir(mode=0o700, exist_ok=True)
    (repo / "secrets" / "backup_age_identity").write_bytes(encryption.new_identity())
    (repo / "secrets" / "backup_signing_key").write_bytes(signing.new_key())
    (repo / "secrets" / "aws_uploader_key").write_text("\n".join(cloud.uploader) + "\n")
    (repo / "hdd" / "mailboxes").mkdir(parents=True)
    return repo / "hdd"


@pytest.fixture
def made(offsite: Path) -> "Snapshot":
    """A snapshot on that host's disk."""
    import snapshots

    return snapshots.make(offsite)
