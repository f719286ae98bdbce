from collections.abc import Iterator
from fnmatch import fnmatch

from policies.compose.project import Service
from policies.config import overlays
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity
from policies.shared import tables


class MAIL_CFG_023(ConfigurationRule):
    """A file that its service does not see protects nobody, however right it is.

    Without its mount, or under another file laid over it, the service runs with what nobody reviewed: a
    rspamd without a virus scanner, a Dovecot that lets any user in. A config is laid over a file as well.
    """

    name = "Every configuration file is mounted where its service reads it, and nothing is mounted over it"
    severity = Severity.CRITICAL
    fix = "Mount the file, or its folder, at the place that is named (policies/data/mounts.yml has them all)"
    bad = "services:\n  rspamd:\n    image: rspamd\n"
    good = "services:\n  rspamd:\n    volumes:\n      - ./config/rspamd/local.d:/etc/rspamd/local.d:ro\n"
    language = "yaml"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look for each file in each service that should read it, then at what lies over its other files."""
        for file, kind in subject.kinds.items():
            row = next((each for each in tables.table("mounts") if fnmatch(file, each["files"])), None)
            for service in subject.running(row["service"]) if row and kind != "text" else ():
                if not self._seen(subject, service, file, row):
                    what = f"{service.name} does not see {file}"
                    yield Found(service.where("volumes"), what, self._place(file, row), service.name)
        for project in subject.repository.compose:
            for service in project.services.values():
                for laid, what in overlays.unreviewed(subject, service):
                    should = "the image's own file, or a file of the service below config/"
                    yield Found(laid.place, f"{what} lies over {laid.target}", should, service.name)

    def _place(self, file: str, row: dict) -> str:
        """Return the path that the service reads: below its folder as below ours."""
        ours = row["files"].partition("*")[0]
        return row.get("path") or f"{row['folder']}/{file.removeprefix(ours)}"

    def _seen(self, subject: Configuration, service: Service, file: str, row: dict) -> bool:
        if subject.source(service, self._place(file, row)) == file:
            return True
        targets = [laid.target for laid in service.laid() if laid.source == file]
        ending = "." + file.rpartition(".")[2]
        return bool(row.get("any")) and any(
            target.rpartition("/")[0] == row["folder"]
            and target.endswith(ending)
            and subject.source(service, target) == file
            for target in targets
        )


check = MAIL_CFG_023()
