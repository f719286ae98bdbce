"""Tells the administrator that a unit failed: by the alarm URLs and by mail, else in the journal."""

import platform
import subprocess

from mailctl.core.context import Context

LOG_LINES = 60
# Properties of the unit that say what happened, in the order in which they are told.
PROPERTIES = ("Result", "ExecMainStatus", "ExecMainStartTimestamp", "ExecMainExitTimestamp")
# Read by systemd as the priority of a line on stderr: sd-daemon(3).
CRITICAL = "<2>"


def report(context: Context, unit: str) -> bool:
    """Send the failure of `unit`; False when no way took it, which the journal then says."""
    from mailctl.core.notify import tell

    subject = f"{unit} failed on {platform.node()}"
    log = f"The end of its log:\n\n{_log(unit)}"
    text = f"{subject}.\n\n{_properties(unit)}\n{log}\n{_what_to_do(context, unit)}"
    if tell(context, subject, text):
        return True
    context.out.note(f"{CRITICAL}{subject}, and nobody could be told of it: journalctl --unit {unit}")
    return False


def _properties(unit: str) -> str:
    return _output("systemctl", "show", f"{unit}.service", f"--property={','.join(PROPERTIES)}")


def _log(unit: str) -> str:
    lines = str(LOG_LINES)
    return _output(
        "journalctl", "--unit", f"{unit}.service", "--lines", lines, "--no-pager", "--output=short-iso"
    )


def _what_to_do(context: Context, unit: str) -> str:
    meaning, document = "Until this is fixed, mail that arrives now is not backed up.", "backups.md"
    if unit.endswith("-dns"):
        meaning = "A DNS record of a domain is not as it was: mail may be refused, or not arrive."
        document = "edge.md"
    if unit.endswith("-monitor"):
        meaning = "Until this is fixed, nothing else looks whether mail flows."
        document = "monitoring.md"
    if unit.endswith("-deploy"):
        meaning = "The commit that was merged does not run on this host; what ran before does."
        document = "deploying.md"
    return (
        f"{meaning} Look at it and try it again:\n\n"
        f"  systemctl status {unit}\n"
        f"  cd {context.repo} && make status\n"
        f"  systemctl start {unit}\n\n"
        f"What can be wrong: {context.repo}/docs/{document}\n"
    )


def _output(*words: str) -> str:
    """What a command prints; what cannot be asked is left out, as the mail matters more than its details."""
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
