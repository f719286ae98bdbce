"""Each service's own checker, run in that service's own image with the files that Compose would mount."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from policies.compose.project import Service
from policies.gate.tools.base import Outcome, Settings, Tool
from policies.model import Finding, Place, Problem
from policies.shared import programs
from policies.shared.programs import execute, program
from policies.shared.repository import Repository
from policies.shared.rule import read

#: What a checker may do: read what is mounted and say what it thinks of it.
CONFINED = (
    "--rm",
    "--pull=never",
    "--network=none",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--read-only",
    "--memory=1g",
    "--pids-limit=100",
    "--entrypoint=/bin/sh",
)
#: They end a word of --mount.
FORBIDDEN = ",:\"'"
NOBODY = "65534:65534"
#: These exit codes come from the engine, the shell or a signal, whatever was said before.
NOT_THE_CHECKER = range(125, 193)
ENDS = {
    125: "the engine could not start it",
    126: "the image's program cannot be run",
    127: "the image lacks the program",
    137: "killed, perhaps for want of memory",
}


def _account() -> str:
    """Return who a checker is: whoever runs the gate, so that it can read the files, but never root."""
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() else NOBODY


def _mount(here: Path, inside: str) -> str:
    """Return the option for one mount: read-only, and no path can say anything else, as --volume lets it."""
    source = str(here).replace('"', '""')
    return f'--mount=type=bind,"source={source}",target={inside},readonly'


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
        return bool(repository.matching(f"{self.folder}/*")) and self._service(repository) is not None

    def _service(self, repository: Repository) -> Service | None:
        return next(
            (each.services[self.service] for each in repository.compose if self.service in each.services),
            None,
        )

    def image(self, repository: Repository, settings: Settings) -> str:
        """Return the image to run: the one from the command line, the service's, or what Compose calls a
        built one.
        """
        service = self._service(repository)
        project = str(service.project.data.get("name") or repository.root.name) if service else ""
        own = service.get("image") if service else None
        return settings.images.get(self.service) or (
            own if isinstance(own, str) else f"{project}-{self.service}"
        )

    def mounts(self, repository: Repository) -> Iterator[tuple[Path, str]]:
        """Yield what Compose mounts from the repository's config folder: path here, path inside."""
        service = self._service(repository)
        for item, _ in service.items("volumes") if service else ():
            source, target = (
                (item.get("source"), item.get("target")) if isinstance(item, dict) else (None, None)
            )
            if isinstance(source, str) and isinstance(target, str) and source.startswith("config/"):
                yield repository.root / source, target

    def secrets(self, repository: Repository) -> list[str]:
        """Return the names of the service's secrets."""
        service = self._service(repository)
        names = (
            [item.get("target") for item, _ in service.items("secrets") if isinstance(item, dict)]
            if service
            else []
        )
        return [name for name in names if isinstance(name, str) and "/" not in name]

    def run(self, repository: Repository, settings: Settings) -> Outcome:
        """Run it, if the image is on this machine; what it says depends on that image."""
        image = self.image(repository, settings)
        return replace(self._asked(repository, image), image=image)

    def _asked(self, repository: Repository, image: str) -> Outcome:
        docker = program("docker")
        for file, wrong in self._refused(repository, image):
            fix = "mount a file or a folder of this repository, and name an image"
            what = f"{self.title} was not run: {wrong}"
            return Outcome(problems=[Problem("tool-failed", Place(file), what, fix)])
        if not docker or execute([docker, "image", "inspect", image], repository.root).returncode:
            return Outcome(absent=f"the image {image.partition('@')[0]} is not on this machine")
        with tempfile.TemporaryDirectory() as folder:
            done = self._started(repository, docker, image, Path(folder))
        if done is None:
            return self.broken(f"no answer within {programs.TIMEOUT} seconds")
        if done.returncode in NOT_THE_CHECKER:
            return self.broken(
                f"exit {done.returncode}: {ENDS.get(done.returncode, 'killed')}: {_last(done)}"
            )
        if not (done.returncode or self.warns):
            return Outcome()
        findings = list(self.findings(repository, done.stdout + "\n" + done.stderr))
        if done.returncode and not findings:
            return self.broken(_last(done))
        return Outcome(findings=findings)

    def _refused(self, repository: Repository, image: str) -> Iterator[tuple[str, str]]:
        """Yield what no engine is told: a mount from outside of the repository, a word that is an option."""
        service = self._service(repository)
        if image.startswith("-") or not image.isprintable():
            yield service.where("image").file if service else ".", f"{image!r} is no image"
        for here, inside in self.mounts(repository):
            file = here.relative_to(repository.root).as_posix()
            if set(FORBIDDEN) & set(file + inside) or not f"{file}{inside}".isprintable():
                yield file, f"{file}: a comma, a colon or a quote in what is mounted, or in where to"
            elif not here.resolve().is_relative_to(repository.root):
                yield file, f"{file} leads out of the repository"
            elif not inside.startswith("/"):
                yield file, f"{file} is mounted at {inside}, which is no absolute path"

    def _started(
        self, repository: Repository, docker: str, image: str, folder: Path
    ) -> subprocess.CompletedProcess[str] | None:
        """Run the container to its end; one that does not end is removed, and the answer is None."""
        name = f"gate-{self.service}-{uuid.uuid4().hex[:12]}"
        secrets = folder / "secrets"
        secrets.mkdir()
        secrets.chmod(0o755)
        for each in self.secrets(repository):
            (secrets / each).touch(0o644)
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="utf-8")
        try:
            return execute(self.command(repository, docker, image, folder, name), repository.root)
        except subprocess.TimeoutExpired:
            execute([docker, "rm", "--force", name], repository.root)
            return None

    def command(self, repository: Repository, docker: str, image: str, folder: Path, name: str) -> list[str]:
        """Return the command: no right, no network, nothing to write to but memory, no real secret (each is
        an empty file), and the mounts of the Compose file.
        """
        command = [docker, "run", f"--name={name}", f"--user={_account()}", *CONFINED]
        command += [f"--cap-add={each}" for each in self.needs]
        command += [f"--tmpfs={path}:mode=1777" for path in ("/tmp", "/run", *self.writes)]  # noqa: S108
        command.append(_mount(folder / "secrets", "/run/secrets"))
        command.append(_mount(folder / "resolv.conf", "/etc/resolv.conf"))
        service = self._service(repository)
        # Some checkers resolve the names of the other services.
        command += [f"--add-host={each}:127.0.0.1" for each in (service.project.services if service else ())]
        for here, inside in self.mounts(repository):
            command.append(_mount(here, inside))
        return [*command, image, "-c", self.script]

    def findings(self, repository: Repository, said: str) -> Iterator[Finding]:
        """Turn what it said into findings."""
        inside = {target: here for here, target in self.mounts(repository)}
        for matched in re.finditer(self.complaint, said, re.MULTILINE):
            parts = matched.groupdict()
            yield self.finding(
                self._place(repository, inside, parts.get("file") or "", parts.get("line")),
                parts["what"].strip(),
                entity=self.service,
            )

    def _place(self, repository: Repository, inside: dict[str, Path], file: str, line: str | None) -> Place:
        for target, here in inside.items():
            if file == target or file.startswith(f"{target}/"):
                return Place(repository.relative(Path(str(here) + file.removeprefix(target))), int(line or 1))
        return Place(repository.matching(f"{self.folder}/*")[0], 1)


SERVICES: tuple[Tool, ...] = tuple(
    ServiceTool(service, row) for service, row in read(Path(__file__).with_name("services.yml")).items()
)
