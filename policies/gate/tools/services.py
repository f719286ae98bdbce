"""Each service's own checker, run in that service's own image with the files that Compose would mount."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from policies.compose.project import Service
from policies.gate.tools.base import Outcome, Tool
from policies.model import Finding, Place
from policies.shared import programs
from policies.shared.programs import execute, program
from policies.shared.repository import Repository
from policies.shared.rule import read

#: What a checker may do: read what is mounted and say what it thinks of it.
CONFINED = (
    "--rm", "--pull=never", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges",
    "--read-only", "--memory=1g", "--pids-limit=100", "--entrypoint=/bin/sh",
)  # fmt: skip
NOBODY = "65534:65534"
#: These exit codes come from the engine, the shell or a signal, whatever was said before.
NOT_THE_CHECKER, NO_SUCH_PROGRAM = range(125, 193), 127


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line that was said."""
    return (done.stderr.strip() or done.stdout.strip() or "no answer").splitlines()[-1]


class ServiceTool(Tool):
    """A checker inside a service's image, as services.yml beside this file says."""

    def __init__(self, service: str, row: dict[str, Any]) -> None:
        self.service, self.folder = service, f"config/{service}"
        self.rule, self.title, self.script, self.complaint = (
            row[key] for key in ("rule", "title", "script", "complaint")
        )
        self.warns, self.writes, self.needs = (
            row.get(key, default) for key, default in (("warns", False), ("writes", ()), ("needs", ()))
        )

    def needed(self, repository: Repository) -> bool:
        """Tell whether there is such a service with files of ours."""
        return bool(repository.matching(f"{self.folder}/*") and self._services(repository))

    def _services(self, repository: Repository) -> list[Service]:
        return [each.services[self.service] for each in repository.compose if self.service in each.services]

    def image(self, service: Service, root: Path, images: Mapping[str, str]) -> str:
        """Return the image to run: of the command line, of the service, or what Compose calls a built one."""
        built = f"{service.project.data.get('name') or root.name}-{self.service}"
        image = str(images.get(self.service) or service.get("image") or built)
        if image.startswith("-"):
            raise ValueError(f"{image} is no image")
        return image

    def mounts(self, service: Service, root: Path) -> Iterator[tuple[Path, str]]:
        """Yield what Compose mounts from the repository's config folder: path here, path inside."""
        for item, _ in service.items("volumes"):
            if isinstance(item, dict) and str(item.get("source")).startswith("config/"):
                here, inside = root / item["source"], str(item.get("target"))
                if "," in f"{here}{inside}" or not here.resolve().is_relative_to(root):
                    raise ValueError(
                        f"{item['source']} leads out of the repository, or a comma is in its path"
                    )
                yield here, inside

    def run(self, repository: Repository, images: Mapping[str, str]) -> Outcome:
        """Run it, if the image is on this machine."""
        service, docker = self._services(repository)[0], program("docker")
        image = self.image(service, repository.root, images)
        if not docker or execute([docker, "image", "inspect", image], repository.root).returncode:
            return Outcome(absent=f"the image {image.partition('@')[0]} is not on this machine")
        with tempfile.TemporaryDirectory() as folder:
            done = self._started(repository.root, service, [docker, image], Path(folder))
        if done is None:
            return self.broken(f"no answer within {programs.TIMEOUT} seconds")
        if done.returncode in NOT_THE_CHECKER:
            why = " (the image lacks the program)" if done.returncode == NO_SUCH_PROGRAM else ""
            return self.broken(f"exit {done.returncode}: {_last(done)}{why}")
        if not (done.returncode or self.warns):
            return Outcome()
        findings = list(self.findings(repository, service, done.stdout + "\n" + done.stderr))
        if done.returncode and not findings:
            return self.broken(_last(done))
        return Outcome(findings=findings)

    def _started(
        self, root: Path, service: Service, engine: list[str], folder: Path
    ) -> subprocess.CompletedProcess[str] | None:
        """Run the container to its end; one that does not end is removed, and the answer is None."""
        docker, image = engine
        name = f"gate-{self.service}-{uuid.uuid4().hex[:12]}"
        secrets = folder / "secrets"
        secrets.mkdir()
        secrets.chmod(0o755)
        for item, _ in service.items("secrets"):
            (secrets / Path(str(item["target"])).name).touch(0o644)
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="utf-8")
        run = [docker, "run", f"--name={name}", *self.options(root, service, folder)]
        try:
            return execute([*run, image, "-c", self.script], root)
        except subprocess.TimeoutExpired:
            execute([docker, "rm", "--force", name], root)
            return None

    def options(self, root: Path, service: Service, folder: Path) -> list[str]:
        """Return how it runs: no right, no network, nothing to write to but memory, no real secret (each is
        an empty file), and the mounts of the Compose file.
        """
        mounts = [(folder / "secrets", "/run/secrets"), (folder / "resolv.conf", "/etc/resolv.conf")]
        mounts += self.mounts(service, root)
        return [
            # Whoever runs the gate, so that it can read the files, but never root.
            f"--user={os.getuid()}:{os.getgid()}" if os.getuid() else f"--user={NOBODY}",
            *CONFINED,
            *(f"--cap-add={each}" for each in self.needs),
            *(f"--tmpfs={path}:mode=1777" for path in ("/tmp", "/run", *self.writes)),  # noqa: S108
            # Some checkers resolve the names of the other services.
            *(f"--add-host={each}:127.0.0.1" for each in service.project.services),
            *(f"--mount=type=bind,source={here},target={inside},readonly" for here, inside in mounts),
        ]

    def findings(self, repository: Repository, service: Service, said: str) -> Iterator[Finding]:
        """Turn what it said into findings."""
        mounts = list(self.mounts(service, repository.root))
        for matched in re.finditer(self.complaint, said, re.MULTILINE):
            parts = {"file": "", "line": 1} | matched.groupdict()
            place = Place(repository.matching(f"{self.folder}/*")[0])
            file = parts["file"] or ""
            for here, inside in mounts:
                if file == inside or file.startswith(f"{inside}/"):
                    path = Path(f"{here}{file.removeprefix(inside)}")
                    place = Place(repository.relative(path), int(parts["line"] or 1))
                    break
            yield self.finding(place, parts["what"].strip(), entity=self.service)


SERVICES: tuple[Tool, ...] = tuple(
    ServiceTool(service, row) for service, row in read(Path(__file__).with_name("services.yml")).items()
)
