"""A small stack of its own beside the running one: no ports, no way out, folders of its own."""

import os
from dataclasses import dataclass
from pathlib import Path

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
WAIT_SECONDS = "600"


@dataclass(frozen=True)
class Scratch:
    """Services of the compose file under another project name, on the folders below `home`."""

    context: Context
    home: Path
    purpose: str
    services: tuple[str, ...]
    secrets: Path

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

    @property
    def _override(self) -> Path:
        return self.home / "compose.yml"

    def _write_override(self) -> None:
        private(self.home)
        services = "".join(OVERRIDE.format(service=one) for one in self.services)
        self._override.write_text(f"services:{services}{VOLUMES.format(folder=self.valkey)}")
