import re
from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.config.scripts import Command, commands
from policies.model import Found, Severity
from policies.shared.shell import SEPARATOR

ENGINE = re.compile(r"\b(?:docker|podman|nerdctl|docker-compose)\b|\$[{(]?\w+|\bcompose\b", re.IGNORECASE)
DELETES = (
    re.compile(r"\bsystem\s+prune\b.*\s(?:--volumes\b(?!=false)|\$)"),
    re.compile(r"\bvolumes?\s+(?:prune|rm|remove)\b"),
    re.compile(r"\bdown\b.*\s(?:-\w*v\w*|--volumes)(?:\s|$|=(?!false))"),
    re.compile(r"(?<![-\w])rm\s.*(?<=\s)-\w*v"),
)
VARIABLE = re.compile(r"\$[({](\w+)[)}]")
#: They only say something.
SAYS = re.compile(r"^@?(?:echo|printf|log|warn|fail|die)\b")
#: Names of several commands that one of these runs: the line counts as a whole.
RUNS = re.compile(r"\b(?:xargs|eval|sh -c|bash -c)\b")


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
                what = f"it may delete volumes: {command.text}"
                yield Found(command.place, what, "no such command", command.place.file)

    def _deletes(self, command: Command) -> bool:
        text = VARIABLE.sub(r"$\1", command.text)
        parts = [text] if RUNS.search(text) else [part.strip() for part in SEPARATOR.split(text)]
        return any(
            ENGINE.search(part) and not SAYS.match(part) and any(each.search(part) for each in DELETES)
            for part in parts
        )


check = MAIL_CFG_019()
