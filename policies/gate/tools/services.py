"""Each service's own checker, run in that service's own image with the files that Compose would mount."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from policies.gate.tools.base import Outcome, Settings, Tool, execute, program
from policies.model import Finding, Place
from policies.sources.compose import Service
from policies.sources.repository import Repository


class ServiceTool(Tool):
    """A checker inside a service's image. `script` is run by the image's shell; exit 0 and no complaint is good."""

    service: str
    #: The folder whose files it checks.
    folder: str
    script: str
    #: How it complains: named groups `what`, and `file` and `line` where it says so.
    complaint: str

    def needed(self, repository: Repository) -> bool:
        """Tell whether there is such a service with files of ours."""
        return bool(repository.matching(f"{self.folder}/*")) and self._service(repository) is not None

    def _service(self, repository: Repository) -> Service | None:
        return next((each.services[self.service] for each in repository.compose if self.service in each.services), None)

    def image(self, repository: Repository, settings: Settings) -> str:
        """Return the image to run: the one from the command line, the service's, or what Compose calls a built one."""
        service = self._service(repository)
        project = str(service.project.data.get("name") or repository.root.name) if service else ""
        own = service.get("image") if service else None
        return settings.images.get(self.service) or (own if isinstance(own, str) else f"{project}-{self.service}")

    def mounts(self, repository: Repository) -> Iterator[tuple[Path, str]]:
        """Yield what Compose mounts from the repository's config folder: path here, path inside."""
        service = self._service(repository)
        for item, _ in service.items("volumes") if service else ():
            source, target = (item.get("source"), item.get("target")) if isinstance(item, dict) else (None, None)
            if isinstance(source, str) and isinstance(target, str) and source.startswith("config/"):
                yield repository.root / source, target

    def run(self, repository: Repository, settings: Settings) -> Outcome:
        """Run it, if the image is on this machine."""
        docker, image = program("docker"), self.image(repository, settings)
        if not docker or execute([docker, "image", "inspect", image], repository.root).returncode:
            return Outcome(absent=f"the image {image} is not on this machine")
        command = [docker, "run", "--rm", "--network=none", "--user=0:0", "--entrypoint=/bin/sh", "--memory=1g", "--pids-limit=100"]
        for here, inside in self.mounts(repository):
            command.append(f"--volume={here}:{inside}:ro")
        done = execute([*command, image, "-c", self.script], repository.root)
        findings = list(self.findings(repository, done.stdout + "\n" + done.stderr))
        if done.returncode and not findings:
            return self.broken((done.stderr.strip() or done.stdout.strip() or "no answer").splitlines()[-1])
        return Outcome(findings=findings)

    def findings(self, repository: Repository, said: str) -> Iterator[Finding]:
        """Turn what it said into findings."""
        inside = {target: here for here, target in self.mounts(repository)}
        for matched in re.finditer(self.complaint, said, re.MULTILINE):
            parts = matched.groupdict()
            yield self.finding(self._place(repository, inside, parts.get("file") or "", parts.get("line")), parts["what"].strip(), entity=self.service)

    def _place(self, repository: Repository, inside: dict[str, Path], file: str, line: str | None) -> Place:
        for target, here in inside.items():
            if file == target or file.startswith(f"{target}/"):
                return Place(repository.relative(Path(str(here) + file.removeprefix(target))), int(line or 1))
        return Place(repository.matching(f"{self.folder}/*")[0], 1)


class Postfix(ServiceTool):
    """postconf warns about parameters and services that nobody reads."""

    rule, title, service, folder = "SYNTAX_POSTFIX", "postconf", "postfix", "config/postfix"
    script = "postconf -n >/dev/null && postconf -M >/dev/null && postconf -P >/dev/null"
    complaint = r"^\S*postconf\S*: (?:warning|fatal): (?P<file>/[^:,\s]*)?(?:, line (?P<line>\d+))?[:,]?\s*(?P<what>.+)$"


class Dovecot(ServiceTool):
    """doveconf reads everything and names the line."""

    rule, title, service, folder = "SYNTAX_DOVECOT", "doveconf", "dovecot", "config/dovecot"
    script = "doveconf -n >/dev/null"
    complaint = r"^doveconf: (?:Fatal|Error|Warning): (?:Error in configuration file (?P<file>[^:\s]+?)(?: line (?P<line>\d+))?: )?(?P<what>.+)$"


class Rspamd(ServiceTool):
    """rspamadm configtest in strict mode."""

    rule, title, service, folder = "SYNTAX_RSPAMD", "rspamadm configtest", "rspamd", "config/rspamd"
    script = "rspamadm configtest -s"
    complaint = r"^(?!.*syntax OK)(?P<what>.*(?:cannot|error|BAD|failed|unknown|invalid|nested section).*)$"


class Nginx(ServiceTool):
    """nginx -t."""

    rule, title, service, folder = "SYNTAX_NGINX", "nginx -t", "nginx", "config/nginx"
    script = "for h in roundcube usermgmt mailserver-api; do echo 127.0.0.1 $h >>/etc/hosts; done; nginx -t"
    complaint = r"^nginx: \[(?:emerg|alert|crit|error|warn)\] (?P<what>.+?)(?: in (?P<file>/[^:\s]+):(?P<line>\d+))?$"


class Clamav(ServiceTool):
    """clamconf reads clamd.conf and freshclam.conf as clamd and freshclam do."""

    rule, title, service, folder = "SYNTAX_CLAMAV", "clamconf", "clamav", "config/clamav"
    script = "clamconf --config-dir=/etc/clamav >/dev/null"
    complaint = r"^(?:ERROR: |WARNING: )(?P<what>.*)$"


class Php(ServiceTool):
    """php -l over Roundcube's configuration."""

    rule, title, service, folder = "SYNTAX_PHP", "php -l", "roundcube", "config/roundcube"
    script = "for f in /var/roundcube/config/*.php; do php -l $f || bad=1; done; exit ${bad:-0}"
    complaint = r"^PHP (?:Parse|Fatal) error:\s+(?P<what>.+?) in (?P<file>/\S+) on line (?P<line>\d+)$"


SERVICES: tuple[Tool, ...] = (Postfix(), Dovecot(), Rspamd(), Nginx(), Clamav(), Php())
