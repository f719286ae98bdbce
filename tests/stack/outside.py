"""What the first day meets outside of its host, in memory or on this machine: GitHub, Cloudflare, the relay.

GitHub is a bare repository behind the host's own sshd, whose deploy key may read it and nothing else; its
pages, its checks and its key's fingerprint are not here. Cloudflare is the fake that mailctl's own tests use;
in cloudflared's place a script waits, so nothing comes through a tunnel. The relay is the local trial's sink.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.stack import hosts
from tests.stack.conftest import COMPOSE_FILES, TEMPLATE
from tests.stack.machine import Machine
from tests.stack.stack import run
from tools import standins

sys.path.append(str(TEMPLATE / "tests/mailctl"))
from fake_cloudflare.server import FakeCloudflare
from fake_dns import FakeDns

# GitHub as git knows it from both machines: a folder here, the sshd of the host there.
GITHUB = "git@github.com:"
# Where mail of the domain arrives before the switch.
OLD_MX, OLD_SPF = "mx.old-provider.example", '"v=spf1 include:old-provider.example -all"'
TUNNEL = """#!/bin/sh
test -s "$TUNNEL_TOKEN_FILE" || exit 1
case " $* " in *" ready "*) exit 0 ;; esac
exec sleep 86400
"""
CERTIFICATE = """import sys
from pathlib import Path
from mailctl.secret_files.certificates import new_key, service_certificate
folder, name, key = Path(sys.argv[1]), sys.argv[2], new_key()
authority = [Path("secrets", f"internal_ca.{part}").read_bytes() for part in ("crt", "key")]
(folder / "sink_tls.key").write_bytes(key)
(folder / "sink_tls.crt").write_bytes(service_certificate(b"", key, *authority, [name]))"""
SENT = """import sys, urllib.request
base = "http://127.0.0.1:8025/api/v1/message"
listed = urllib.request.urlopen(base + "s").read().decode()
print(listed if len(sys.argv) < 2 else urllib.request.urlopen(f"{base}/{sys.argv[1]}/raw").read().decode())"""


@dataclass
class GitHub:
    """`bare` is the repository of the account YOU; `folder` is all of GitHub."""

    folder: Path
    name: str

    @property
    def bare(self) -> Path:
        return self.folder / "YOU" / f"{self.name}.git"

    def open(self, machine: Machine) -> None:
        """The empty repository, and a log-in for whoever has a deploy key."""
        run("git", "init", "-q", "--bare", "-b", "main", str(self.bare), cwd=machine.home)
        url, key = f'url "ssh://git@localhost/{self.folder}/"', "/etc/ssh/ssh_host_ed25519_key.pub"
        lines = (
            "useradd --create-home git && install -d -o git -m 700 /home/git/.ssh",
            "printf '[safe]\\ndirectory = *\\n' >/home/git/.gitconfig",
            f"printf '[{url}]\\ninsteadOf = {GITHUB}\\n' >/root/.gitconfig",
            f'echo "localhost $(cat {key})" >/etc/ssh/ssh_known_hosts',
        )
        machine.shell("\n".join(lines), cwd=Path("/"))

    def add_deploy_key(self, machine: Machine, key: str) -> None:
        """What the page Deploy keys does without "Allow write access"."""
        line = f"""restrict,command="git upload-pack '{self.bare}'" {key}"""
        path = "/home/git/.ssh/authorized_keys"
        machine.shell(f"echo {shlex.quote(line)} >{path} && chown git {path}", cwd=Path("/"))

    def computer(self, home: Path) -> dict[str, str]:
        """The environment of an operator who may push."""
        home.mkdir()
        text = f'[url "{self.folder}/"]\ninsteadOf = {GITHUB}\n[user]\nname = Ada\nemail = ada@example.net\n'
        (home / ".gitconfig").write_text(text)
        return {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}


@dataclass
class Cloudflare:
    """An account whose zone gets its mail elsewhere, and DNS with what is in it."""

    account: FakeCloudflare
    dns: FakeDns

    @property
    def mail(self) -> tuple[bool, frozenset[str]]:
        """Whether Email Routing is on, and the MX records."""
        return self.account.state.routing, self.account.state.mx()

    def records(self, kind: str) -> dict[str, str]:
        return {r["name"]: r["content"] for r in self.account.state.records.values() if r["type"] == kind}


@contextmanager
def cloudflare(zone: str) -> Iterator[Cloudflare]:
    """It listens where the host reaches this machine."""
    here = hosts.gateway()
    with FakeCloudflare(zone, address=here) as account, FakeDns(account.state, here) as dns:
        account.state.add_record(type="MX", name=zone, content=OLD_MX, priority=10)
        account.state.add_record(type="TXT", name=zone, content=OLD_SPF)
        yield Cloudflare(account, dns)


@dataclass
class Outside:
    """What stands in for tunnel, relay and registry on a host; `repository` is the operator's clone."""

    machine: Machine
    repository: Path
    standin: bool

    def bring(self) -> list[Path]:
        """Write what Compose reads beside the repository's own file, and load the stand-ins."""
        home, found = self.machine.home, []
        if self.standin:
            found = [standins.override(self.repository, COMPOSE_FILES, output=home / "standins.yml")]
            self.machine.load(found[0])
        (home / "cloudflared").write_text(TUNNEL)
        (home / "cloudflared").chmod(0o755)
        outside = home / "outside.yml"
        outside.write_text(json.dumps(self._services(*found)))
        return [*found, outside]

    def _services(self, *overrides: Path) -> dict[str, Any]:
        """The sink as in the local trial, under the relay's name; a script as cloudflared."""
        local, own, *_ = (
            yaml.safe_load((self.repository / name).read_text()) for name in reversed(COMPOSE_FILES)
        )
        sink, home = local["services"]["mailpit"], self.machine.home
        del sink["networks"]["local"]
        images = yaml.safe_load(overrides[0].read_text()) if overrides else own
        tunnel = {
            "image": images["services"]["valkey"]["image"],
            "entrypoint": ["/usr/local/bin/cloudflared"],
            "init": True,
            "volumes": [f"{home}/cloudflared:/usr/local/bin/cloudflared:ro"],
        }
        secrets = {f"sink_tls_{part}": {"file": f"{home}/sink_tls.{part}"} for part in ("crt", "key")}
        # The stand-in is named once more, as this file is read after the one that names it.
        sink |= {"image": images["services"]["mailpit"]["image"]} if overrides else {}
        return {"services": {"mailpit": sink, "cloudflared": tunnel}, "secrets": secrets}

    def certify(self) -> None:
        """A certificate of the relay's name, by the authority that Postfix knows."""
        relay = yaml.safe_load((self.repository / "answers.yml").read_text())["relay_host"]
        python = f".venv/bin/python -c {shlex.quote(CERTIFICATE)}"
        self.machine.shell(
            f"{python} {self.machine.home} {relay} && chmod 444 {self.machine.home}/sink_tls.*"
        )

    def sent(self) -> list[dict[str, Any]]:
        """What the relay has taken."""
        return json.loads(self.machine.shell(f"python3 -c {shlex.quote(SENT)}"))["messages"]

    def raw(self, message: dict[str, Any]) -> bytes:
        return self.machine.shell(f"python3 -c {shlex.quote(SENT)} {message['ID']}").encode()
