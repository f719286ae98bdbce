"""Each service's own checker, run in that service's own image with the files that Compose would mount."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from policies.compose.project import Service
from policies.gate.tools.base import TIMEOUT, Outcome, Settings, Tool, execute, program
from policies.model import Finding, Place, Problem
from policies.shared.repository import Repository

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
    """A checker inside a service's image. `script` is run by the image's shell; exit 0 and no complaint is
    good.
    """

    service: str
    #: The folder whose files it checks.
    folder: str
    script: str
    #: How it complains: named groups `what`, and `file` and `line` where it says so.
    complaint: str
    #: Whether what it says counts although it exits with 0.
    warns = False
    #: Folders besides /tmp and /run that it must be able to write to; they are in memory.
    writes: tuple[str, ...] = ()
    #: Capabilities without which the kernel does not start its program.
    needs: tuple[str, ...] = ()

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
        """Run it, if the image is on this machine."""
        docker, image = program("docker"), self.image(repository, settings)
        for file, wrong in self._refused(repository, image):
            fix = "mount a file or a folder of this repository, and name an image"
            what = f"{self.title} was not run: {wrong}"
            return Outcome(problems=[Problem("tool-failed", Place(file), what, fix)])
        if not docker or execute([docker, "image", "inspect", image], repository.root).returncode:
            return Outcome(absent=f"the image {image.partition('@')[0]} is not on this machine")
        with tempfile.TemporaryDirectory() as folder:
            done = self._started(repository, docker, image, Path(folder))
        if done is None:
            return self.broken(f"no answer within {TIMEOUT} seconds")
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


class Postfix(ServiceTool):
    """postconf warns about parameters and services that nobody reads."""

    rule, title, service, folder = "SYNTAX_POSTFIX", "postconf", "postfix", "config/postfix"
    warns = True
    script = (
        "mkdir -p /run/postfix && cp -r /etc/postfix/sql /run/postfix && postconf -n "
        ">/dev/null && postconf -M >/dev/null && postconf -P >/dev/null"
    )
    complaint = (
        r"^\S*postconf\S*: (?:warning|fatal): (?P<file>/[^:,\s]*)?(?:, line "
        r"(?P<line>\d+))?[:,]?\s*(?P<what>.+)$"
    )


class Dovecot(ServiceTool):
    """doveconf reads everything and names the line."""

    rule, title, service, folder = "SYNTAX_DOVECOT", "doveconf", "dovecot", "config/dovecot"
    warns = True
    # Programs of the image carry this one in their files, and cannot be started where it is dropped.
    needs = ("SYS_CHROOT",)
    script = "doveconf -n >/dev/null"
    complaint = (
        r"^doveconf: (?:Fatal|Error|Warning): (?:Error in configuration file "
        r"(?P<file>[^:\s]+?)(?: line (?P<line>\d+))?: )?(?P<what>.+)$"
    )


class Rspamd(ServiceTool):
    """rspamadm configtest; its strict mode counts names that cannot be resolved without a network."""

    rule, title, service, folder = "SYNTAX_RSPAMD", "rspamadm configtest", "rspamd", "config/rspamd"
    writes = ("/var/lib/rspamd",)
    script = (
        "mkdir -p /run/rspamd && touch /run/rspamd/redis.inc /run/rspamd/controller.inc"
        " && rspamadm configtest"
    )
    complaint = (
        r"^(?:.*; )?(?P<what>(?!.*address resolution).*(?:cannot|error|failed|invalid|nested section).*)$"
    )


class Nginx(ServiceTool):
    """nginx -t."""

    rule, title, service, folder = "SYNTAX_NGINX", "nginx -t", "nginx", "config/nginx"
    warns = True
    writes = ("/var/cache/nginx", "/var/lib/nginx")
    script = "nginx -t"
    complaint = (
        r"\[(?:emerg|alert|crit|error|warn)\](?!.* the \"user\" directive)(?: \d+#\d+:)? (?P<what>.+?)(?: in "
        r"(?P<file>/[^:\s]+):(?P<line>\d+))?$"
    )


class Clamav(ServiceTool):
    """clamconf reads clamd.conf and freshclam.conf as clamd and freshclam do; it always exits with 0."""

    rule, title, service, folder = "SYNTAX_CLAMAV", "clamconf", "clamav", "config/clamav"
    warns = True
    script = "clamconf --config-dir=/etc/clamav >/dev/null"
    complaint = r"^(?:ERROR|WARNING): (?:Parse error at (?P<file>/\S+?):(?P<line>\d+): )?(?P<what>.*)$"


class Php(ServiceTool):
    """php -l over Roundcube's configuration, and PHP's own reader over php.ini; that one exits with 0."""

    rule, title, service, folder = "SYNTAX_PHP", "php -l", "roundcube", "config/roundcube"
    warns = True
    script = (
        "for f in /var/roundcube/config/*.php; do php -l $f || bad=$?; done; "
        "for f in /usr/local/etc/php/conf.d/*mailserver*.ini; do "
        "[ ! -e $f ] || php -n -c $f -r '' || bad=$?; done; exit ${bad:-0}"
    )
    complaint = (
        r"^(?:PHP (?:Parse|Fatal) error:|PHP:)\s+(?P<what>.+?) in (?P<file>/\S+) on line (?P<line>\d+)$"
    )


SERVICES: tuple[Tool, ...] = (Postfix(), Dovecot(), Rspamd(), Nginx(), Clamav(), Php())
