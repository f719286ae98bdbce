"""A repository with an edge, for tests: its files, its secrets, and the keys that rspamd would hold."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from fake_cloudflare import FakeCloudflare
from fakes import FakeDocker

from tests.places import PLATFORM

if TYPE_CHECKING:
    from conftest import Cli

HERE = Path(__file__).parent
SCHEMA = PLATFORM / "schemas/edge.schema.json"
RECORD = f"v=DKIM1; k=rsa; p={'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A' * 12}"
OTHER_RECORD = f"v=DKIM1; k=rsa; p={'OTHERkeyOTHERkeyOTHERkeyOTHERkey' * 12}"
CODE = "export default { async email(message, env) {} };\n"


def relay_files(root: Path, host: str = "smtp.sendgrid.net", port: int = 587, more: str = "") -> None:
    """What says which relay carries mail, and what is known of it."""
    (root / "platform").mkdir(exist_ok=True)
    shutil.copy(PLATFORM / "relays.yml", root / "platform")
    main = root / "config/postfix/main.cf"
    main.parent.mkdir(parents=True, exist_ok=True)
    main.write_text(f"# Mail to the world.\nrelayhost = [{host}]:{port}\n{more}")


class EdgeRepo:
    """`edge` is the file as data; change it and `save()`."""

    def __init__(self, root: Path, docker: FakeDocker) -> None:
        self.root, self.docker = root, docker
        self.worker = root / "platform/email-worker"
        self.worker.mkdir(parents=True)
        (root / "edge").mkdir()
        (root / "platform/schemas").mkdir()
        shutil.copy(SCHEMA, root / "platform/schemas")
        relay_files(root, "smtp.relay.example")
        (self.worker / "worker.js").write_text(CODE)
        (self.worker / "package.json").write_text('{"config": {"compatibility_date": "2026-04-01"}}\n')
        self.edge: dict[str, Any] = yaml.safe_load((HERE / "edge/edge.yml").read_text())
        self.save()
        self.keys({"s1": RECORD}, "s1")

    def save(self) -> None:
        (self.root / "edge/edge.yml").write_text(yaml.safe_dump(self.edge, sort_keys=False))

    def keys(self, records: dict[str, str], signing: str) -> None:
        """What `dkim list` in the rspamd container says."""
        lines = [f"{s}\t{'signs' if s == signing else 'idle'}\t{record}\n" for s, record in records.items()]
        self.docker.answer("list", "".join(lines))

    def secret(self, name: str) -> str:
        return (self.root / "secrets" / name).read_text().strip()

    def set_secret(self, name: str, text: str) -> None:
        path = self.root / "secrets" / name
        path.chmod(0o600)
        path.write_text(text)


def apply(cli: "Cli", *options: str) -> str:
    result = cli("edge", "apply", "--yes", *options)
    assert result.exit_code == 0, result.output
    return result.output


def set_up(repo: EdgeRepo, cloudflare: FakeCloudflare, cli: "Cli") -> None:
    """Everything that the file can ask for, in an account where the destination has confirmed."""
    repo.edge["worker"]["spool"] = {"bucket": "shop-mail-spool", "days": 14}
    repo.save()
    cloudflare.state.add_destination("admin@elsewhere.example")
    cloudflare.state.confirm("admin@elsewhere.example")
    apply(cli)


def assert_in_line(cli: "Cli", *options: str) -> None:
    """Nothing is left to do, and nothing of ours lies about."""
    result = cli("edge", "plan", "--prune", *options)
    assert result.exit_code == 0, result.output


def document(cli: "Cli", *words: str) -> dict:
    return json.loads(cli("edge", *words, "--json").stdout)


def record(cloudflare: FakeCloudflare, kind: str, name: str) -> dict:
    found = [r for r in cloudflare.state.records.values() if (r["type"], r["name"]) == (kind, name)]
    assert len(found) == 1, found
    return found[0]
