"""A small stack of its own beside the running one: no ports, no way out, folders of its own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mailctl.backup.restore.stage import vmail
from mailctl.core.compose import Compose
from mailctl.core.context import Context
from mailctl.core.folders import private
from mailctl.core.hold import make_folders

# An internal network only, nothing published, and never started again after a reboot.
OVERRIDE = """
  {service}:
    ports: !reset []
    networks: !override [data]
    restart: "no"
"""
# Not the engine's folder, into which nobody but the engine may write.
VOLUMES = """
volumes:
  valkey_data:
    driver: local
    driver_opts: {{type: none, o: bind, device: "{folder}"}}
"""
# Of several hosts: one member that founds its own database, and a store that waits for nobody else.
MEMBERS = {
    "mariadb": """    entrypoint: [docker-entrypoint.sh]
    command:
      - mariadbd
      - --ssl-ca=/run/secrets/internal_ca_crt
      - --ssl-cert=/run/secrets/mariadb_tls_crt
      - --ssl-key=/run/secrets/mariadb_tls_key
    volumes: !override
      - db_data:/var/lib/mysql
      - ./config/mariadb/initdb:/docker-entrypoint-initdb.d:ro
      - ./config/mariadb/mailserver.cnf:/etc/mysql/conf.d/mailserver.cnf:ro
    healthcheck: {test: [CMD, healthcheck.sh, --connect, --innodb_initialized]}
""",
    "valkey": """    environment: {MEMBER: valkey-1}
""",
}
WAIT_SECONDS = "600"


@dataclass(frozen=True)
class Scratch:
    """Services of the compose file under another project name, on the folders below `home`."""

    context: Context
    home: Path
    purpose: str
    services: tuple[str, ...]
    secrets: Path
    #: Of several hosts: whose mailboxes it has, and the images that this host's tasks run.
    shard: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)

    @property
    def project(self) -> str:
        return f"{self.context.project_name}-{self.purpose}"

    @property
    def ssd(self) -> Path:
        return self.home / "ssd"

    @property
    def valkey(self) -> Path:
        """Where Valkey's data is."""
        return self.ssd / "valkey"

    @property
    def hdd(self) -> Path:
        return self.home / "hdd"

    @property
    def mailboxes(self) -> Path:
        """Where the mailboxes of a snapshot go; a store asks for the mark of its shard above them."""
        if self.shard is None:
            return self.hdd / "mailboxes"
        root = self.hdd / "mailboxes"
        root.mkdir(parents=True, exist_ok=True)
        (root / ".shard").write_text(f"{self.shard}\n")
        for path in (root, root / ".shard"):
            os.chown(path, *vmail())
        return root / self.shard

    @property
    def compose(self) -> Compose:
        """Every setting comes from the environment, which wins over .env."""
        files = self.context.setting("COMPOSE_FILE", "docker-compose.yml").split(os.pathsep)
        options = ["--project-name", self.project]
        named = [self.context.repo / name for name in files if name]
        for path in (*named, self.context.repo / self._override):
            options += ["--file", str(path)]
        fixed = {
            "SSD_PATH": str(self.ssd),
            "HDD_PATH": str(self.hdd),
            "SECRETS_DIR": str(self.secrets),
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_PROFILES": "",
            **({"MEMBER": self.shard} if self.shard else {}),
        }
        return Compose(self.context.repo, tuple(options), {**self.context.environ, **fixed})

    def up(self, *services: str) -> None:
        """Start the services and wait until they are healthy. Raises Refused with what compose said."""
        for folder in (self.ssd / "mariadb", self.valkey, self.hdd / "mailboxes"):
            folder.mkdir(parents=True, exist_ok=True)
        make_folders(self.ssd)
        self._write_override()
        self.compose.run("up", "--detach", "--wait", "--wait-timeout", WAIT_SECONDS, *services)

    def down(self) -> None:
        """Remove its containers, networks and volumes; the folders belong to the caller."""
        self._write_override()
        self.compose.run("down", "--volumes", "--remove-orphans", "--timeout", "60")

    def _member(self, service: str) -> str:
        """What more is different where there are several hosts."""
        if self.shard is None:
            return ""
        image = f"    image: {self.images[service]}\n" if service in self.images else ""
        return MEMBERS.get(service, "") + image

    @property
    def _override(self) -> Path:
        return self.home / "compose.yml"

    def _write_override(self) -> None:
        private(self.home)
        services = "".join(OVERRIDE.format(service=one) + self._member(one) for one in self.services)
        self._override.write_text(f"services:{services}{VOLUMES.format(folder=self.valkey)}")
