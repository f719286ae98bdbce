import re
from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.config.scripts import commands
from policies.model import Found, Severity

WAITS = re.compile(r"\bcompose\b.*\b(?:up|start|restart)\b.*\s--wait(?![-\w])(?!=false)", re.IGNORECASE)
ENDS = re.compile(r"--wait-timeout[= ]+(?!0\b)\S")


class MAIL_CFG_020(ConfigurationRule):
    """`docker compose up --wait` waits for ever when a service never gets healthy.

    A deploy then hangs until somebody looks, and the rollback that should follow never starts.
    """

    name = "Waiting has an end: write --wait-timeout beside --wait"
    severity = Severity.MEDIUM
    fix = "Write --wait --wait-timeout 300"
    bad = "docker compose up -d --wait\n"
    good = "docker compose up -d --wait --wait-timeout 300\n"
    language = "sh"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at every command of scripts, Makefiles, timers, cron files and workflows."""
        for command in commands(subject.repository):
            if WAITS.search(command.text) and not ENDS.search(command.text):
                yield Found(command.place, "it may wait for ever", "--wait-timeout 300", command.place.file)


check = MAIL_CFG_020()
