import re
from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration
from policies.sources.scripts import Command, commands

DOCKER = re.compile(r"\b(?:docker|podman|docker-compose)\b|\$\{?(?:DOCKER|COMPOSE)\b", re.IGNORECASE)
DELETES = (
    re.compile(r"\bsystem\s+prune\b.*\s(?:--volumes\b|\$)"),
    re.compile(r"\bvolumes?\s+(?:prune|rm|remove)\b"),
    re.compile(r"\bdown\b.*\s(?:-\w*v\w*|--volumes)\b"),
    re.compile(r"(?<![-\w])rm\b.*\s-\w*v"),
)


class MAIL_CFG_019(ConfigurationRule):
    """A clean-up job with `docker system prune -af --volumes` runs well for months.

    On the night when a container happens to be stopped it deletes the database or the mailboxes, and the
    backup that runs after it saves the empty folder.
    """

    name = (
        "Nothing prunes volumes: no volume rm or prune, no system prune --volumes, no compose down --volumes"
    )
    severity = Severity.CRITICAL
    fix = "Remove the command; old images are what fills disks: docker image prune"
    bad = "docker system prune -af --volumes\n"
    good = "docker image prune -af\n"
    language = "sh"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at every command of scripts, Makefiles, timers, cron files and workflows."""
        for command in commands(subject.repository):
            if self._deletes(command):
                yield Found(
                    command.place,
                    f"it may delete volumes: {command.text}",
                    "no such command",
                    command.place.file,
                )

    def _deletes(self, command: Command) -> bool:
        return bool(DOCKER.search(command.text)) and any(pattern.search(command.text) for pattern in DELETES)


check = MAIL_CFG_019()
