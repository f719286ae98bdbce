"""The documents of the generated repository whose commands are executed, and where."""

from __future__ import annotations

import re

# What tests/stack/test_host.py executes: on a host with systemd, and after its loss.
OF_THE_HOST = (
    "docs/backups.md",
    "docs/host.md",
    "docs/runbooks/deploy.md",
    "docs/runbooks/disk-not-there.md",
    "docs/runbooks/lost-one-mail.md",
    "docs/runbooks/lost-one-mailbox.md",
    "docs/runbooks/lost-the-host.md",
    "docs/runbooks/lost-the-key.md",
    "docs/runbooks/roll-back.md",
    "docs/runbooks/roll-back-the-data.md",
)

# What tests/workflows and tests/terraform execute.
OF_THE_WORKFLOWS = ("docs/protected-branch.md", "docs/runbooks/monthly.md", "docs/runbooks/terraform.md")
# What tests/deploy executes: on a host that is deployed to.
OF_THE_TARGET = ("docs/deploying.md",)


def blocks(text: str) -> list[str]:
    """The commands of a document: its fenced blocks that are marked as shell."""
    return re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
