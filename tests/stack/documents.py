"""The documents of the generated repository whose commands are executed, and where."""

from __future__ import annotations

import re
from typing import NamedTuple

# What tests/stack/test_host.py executes: on a host with systemd, and after its loss.
OF_THE_HOST = (
    "docs/backups.md",
    "docs/host.md",
    "docs/how-do-i.md",
    "docs/monitoring.md",
    "docs/runbooks/deploy.md",
    "docs/runbooks/disk-not-there.md",
    "docs/runbooks/lost-the-host.md",
    "docs/runbooks/lost-the-key.md",
    "docs/runbooks/move-to-another-host.md",
    "docs/runbooks/roll-back-the-data.md",
)

# What tests/workflows and tests/terraform execute.
OF_THE_WORKFLOWS = ("docs/protected-branch.md", "docs/runbooks/monthly.md", "docs/runbooks/terraform.md")
# What tests/deploy executes: on a host that is deployed to.
OF_THE_TARGET = ("docs/deploying.md",)

# The first day, executed by tests/stack/test_start_here.py.
START = "docs/start-here.md"
COMPUTER, HOST = "on your computer", "on the host"
# A page of tasks, each under a heading of its own.
HOW = "docs/how-do-i.md"
# Its tasks that tests with a name of their own execute, since they need more than a host, or end it.
NEWER_TEMPLATE, ROLL_BACK = "Update to a newer template", "Roll back a deployment"
MAIL_BACK, MAILBOX_BACK = "Bring a mail back", "Bring a mailbox back"
DKIM = "Rotate the DKIM key"
BY_THEMSELVES = {NEWER_TEMPLATE, ROLL_BACK, MAIL_BACK, MAILBOX_BACK, DKIM}
MOVE, OLD_HOST, NEW_HOST = "docs/runbooks/move-to-another-host.md", "on the old host", "on the new host"


def blocks(text: str) -> list[str]:
    """The commands of a document: its fenced blocks that are marked as shell."""
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """A block of the first day: commands for one of the machines, or lines to write into a file."""

    place: str
    text: str


def steps(text: str) -> list[Step]:
    """The blocks of the first day in their order; what is written has the name of its language as place."""
    found = re.findall(r"^```(sh|ini|yaml)\n(?:# ([^\n]+)\n)?(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [Step(where or language, block) for language, where, block in found]


def tasks(text: str) -> dict[str, str]:
    """What a page of tasks says under each of its headings of the third level."""
    return dict(re.findall(r"^### (.+)\n((?:(?!##).*\n)*)", text, re.MULTILINE))
