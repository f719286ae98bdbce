"""Three Docker engines in containers that form a Swarm, with a registry: hosts that tests may kill and drain.

Other tests of several hosts use the fixture `engines` of conftest.py.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import yaml

from tests.stack.stack import eventually, run

HERE = Path(__file__).parent
IMAGE = "standin/swarm-node:trixie"
#: The kernel of a test machine has no IPVS and no ESP; hosts there have.
PRIVILEGES = ("--privileged", "--cgroupns=host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw")
MEMORY = ("--tmpfs", "/run", "--tmpfs", "/tmp:exec")  # noqa: S108 (inside)
REGISTRY_PORT = 5000
#: Its disks: a folder, and a file with btrfs, which is mounted whenever the host starts.
SSD, HDD = "/srv/ssd", "/srv/hdd"
DISKS = f"""mkdir -p {SSD} {HDD}
[ -e {HDD}.img ] || {{ truncate -s 2G {HDD}.img; mkfs.btrfs -q {HDD}.img; }}
# Two that ask for a free loop device at once may get the same one.
for _ in $(seq 50); do mount -o loop {HDD}.img {HDD} && break || sleep 0.2; done
mountpoint -q {HDD}"""
REGISTRY = (
    'printf "version: 0.1\\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\\n" >/registry.yml;'
    ' printf "http: {addr: \\":5000\\"}\\n" >>/registry.yml; exec docker-registry serve /registry.yml'
)


@dataclass
class Host:
    """One engine in a container; `socket` is where this machine reaches it."""

    name: str
    container: str
    socket: Path
    address: str = ""

    @property
    def env(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    def docker(self, *words: str) -> str:
        """Run the docker command against this host's engine."""
        return run("docker", *words, cwd=HERE, env=self.env, limit=120)

    def shell(self, line: str, limit: float = 120) -> str:
        """Run a line on the host itself."""
        return run("docker", "exec", self.container, "sh", "-euc", line, cwd=HERE, limit=limit)

    @property
    def answers(self) -> bool:
        done = subprocess.run(
            ["docker", "info"], env={**os.environ, **self.env}, capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0 and b"ERROR" not in done.stderr

    def inspect(self, *containers: str) -> list[dict]:
        return json.loads(self.docker("inspect", *containers)) if containers else []

    def tasks(self, service: str) -> list[dict]:
        """The running containers of a service on this host."""
        label = f"label=com.docker.swarm.service.name={service}"
        return self.inspect(*self.docker("ps", "--quiet", "--filter", label).split())

    @property
    def firewall(self) -> Path:
        """Its rules, which are loaded before the engine starts."""
        return self.socket.with_name("firewall.nft")

    def kill(self) -> None:
        """As a power cut: nothing is told to end."""
        run("docker", "kill", self.container, cwd=HERE)

    def start(self) -> None:
        run("docker", "start", self.container, cwd=HERE)
        eventually(lambda: self.answers, limit=300)


@dataclass
class Engines:
    """The hosts; the first one made the Swarm, and all are managers."""

    prefix: str
    hosts: list[Host] = field(default_factory=list)

    @property
    def registry(self) -> str:
        return f"{self.prefix}-registry:{REGISTRY_PORT}"

    def host(self, name: str) -> Host:
        return next(each for each in self.hosts if each.name == name)

    def load(self, images: Sequence[str], *hosts: Host) -> None:
        """Copy images of this machine's engine into those of hosts."""
        for host in hosts or self.hosts:
            with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as save:
                env = {**os.environ, **host.env}
                subprocess.run(
                    ["docker", "load", "--quiet"],
                    stdin=save.stdout,
                    env=env,
                    check=True,
                    capture_output=True,
                    timeout=600,
                )
            assert save.returncode == 0

    def inventory(self, **settings: object) -> str:
        """The text of a nodes.yml for them: members 1 to 3, shards a to c."""
        rows = [
            {"name": host.name, "address": host.address, "database": number, "shard": "abc"[number - 1]}
            for number, host in enumerate(self.hosts, 1)
        ]
        return yaml.safe_dump({"nodes": rows, **settings}, sort_keys=False)

    def label(self) -> None:
        """The labels that nodes.yml asks for."""
        for number, host in enumerate(self.hosts, 1):
            labels = (f"mail.database={number}", f"mail.shard={'abc'[number - 1]}", "mail.queue=yes")
            words = [word for label in labels for word in ("--label-add", label)]
            self.hosts[0].docker("node", "update", *words, host.name)


def build(base: str) -> None:
    """The image of a host; it takes half a minute once."""
    run("docker", "build", "--quiet", "--build-arg", f"BASE={base}", "--tag", IMAGE, "node", cwd=HERE)


@contextmanager
def running(prefix: str, folder: Path, *shared: Path, hardened: bool = True) -> Iterator[Engines]:
    """Three hosts in a Swarm and a registry; whatever happens, they are gone afterwards.

    `shared` are folders of this machine that all of them have.
    """
    made = Engines(prefix)
    names = [f"{prefix}-{name}" for name in ("n1", "n2", "n3", "registry")]
    _clear(names, prefix)
    try:
        run("docker", "network", "create", prefix, cwd=HERE)
        words = ("--detach", "--network", prefix, "--name", names[3], IMAGE, "sh", "-c", REGISTRY)
        run("docker", "run", *words, cwd=HERE)
        for name in names[:3]:
            made.hosts.append(_host(made, name, folder, hardened, shared))
        for host in made.hosts:
            eventually(lambda host=host: host.answers, limit=60)
        _wall(made)
        _join(made.hosts)
        yield made
    finally:
        _clear(names, prefix)


def _host(made: Engines, name: str, folder: Path, hardened: bool, shared: Sequence[Path]) -> Host:
    host = Host(name, name, folder / name / "docker.sock")
    host.socket.parent.mkdir(parents=True)
    words = (
        "--detach",
        *PRIVILEGES,
        *MEMORY,
        "--volume",
        "/var/lib/docker",
        "--volume",
        "/srv",
        "--name",
        name,
        "--hostname",
        name,
    )
    words += tuple(w for path in (host.socket.parent, *shared) for w in ("--volume", f"{path}:{path}"))
    engine = [
        "dockerd",
        f"--host=unix://{host.socket}",
        "--host=unix:///var/run/docker.sock",
        "--log-level=warn",
    ]
    engine += ["--storage-driver=overlay2", f"--insecure-registry={made.registry}"]
    engine += ["--no-new-privileges"] if hardened else []
    start = f"{DISKS}\n[ ! -e {host.firewall} ] || nft -f {host.firewall}\nexec {' '.join(engine)}"
    run("docker", "run", *words, "--network", made.prefix, IMAGE, "sh", "-euc", start, cwd=HERE)
    shown = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    host.address = run("docker", "inspect", "--format", shown, name, cwd=HERE).strip()
    return host


def _wall(made: Engines) -> None:
    """The firewall that `make setup-host` writes on each of them: whatever is tested here works behind it."""
    from mailctl.host import files, units

    place = units.Place(made.prefix, HERE, Path(HDD), Path(SSD), "UTC")
    addresses = tuple(ip_network(host.address) for host in made.hosts)
    rules = files.texts(place, files.Choices(hosts=addresses))[files.firewall(place)]
    for host in made.hosts:
        host.firewall.write_text(rules)
        host.shell(f"nft -f {host.firewall}")


def _join(hosts: list[Host]) -> None:
    first, *others = hosts
    pools = ("--default-addr-pool", "172.30.0.0/16", "--default-addr-pool-mask-length", "24")
    first.docker("swarm", "init", "--advertise-addr", first.address, *pools)
    token = first.docker("swarm", "join-token", "--quiet", "manager").strip()
    for host in others:
        host.docker("swarm", "join", "--token", token, f"{first.address}:2377")


def _clear(names: list[str], network: str) -> None:
    """Take away what is left of them, and of an earlier run that was killed."""
    subprocess.run(["docker", "rm", "--force", "--volumes", *names], capture_output=True, check=False)
    subprocess.run(["docker", "network", "rm", network], capture_output=True, check=False)
