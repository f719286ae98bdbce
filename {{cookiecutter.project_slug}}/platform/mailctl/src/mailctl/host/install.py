"""Brings the host's files in line with the units that should be there, and tells systemd."""

import difflib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mailctl.core.errors import Problem, Refused
from mailctl.host import files
from mailctl.host.units import Place

UNIT_FOLDER = Path("/etc/systemd/system")
COMMAND = Path("/usr/local/bin/mailctl")
# systemd's own sign that it is the running init: sd_booted(3).
BOOTED = Path("/run/systemd/system")


@dataclass(frozen=True)
class Change:
    """One file of the host that differs from what it should be; no `wanted` means that it goes."""

    path: Path
    found: str | None
    wanted: str | None

    @property
    def action(self) -> str:
        if self.wanted is None:
            return "remove"
        return "make" if self.found is None else "change"

    @property
    def diff(self) -> list[str]:
        """What an edit changes, without the lines that only name files; empty for new and removed ones."""
        if self.found is None or self.wanted is None:
            return []
        lines = difflib.unified_diff(self.found.splitlines(), self.wanted.splitlines(), n=0, lineterm="")
        return list(lines)[2:]

    def as_dict(self) -> dict[str, object]:
        return {"action": self.action, "path": str(self.path), "diff": self.diff}


def changes(place: Place, wanted: dict[Path, str]) -> list[Change]:
    """What `apply` would do: files to make and to change, then those of ours that are no longer wanted."""
    ours = {path: text for path in _candidates(place) if (text := _read(path)) and place.mark in text}
    found = [Change(path, _read(path), text) for path, text in wanted.items()]
    gone = [Change(path, text, None) for path, text in ours.items() if path not in wanted]
    return [change for change in found if change.found != change.wanted] + gone


def docker_settings(several: bool) -> Change | None:
    """The change of the engine's settings file, which is not ours alone; None when it is as it should be."""
    path = files.docker_settings()
    found = _read(path)
    wanted = files.docker(found, several)
    return Change(path, found, wanted) if wanted != found else None


def is_foreign(place: Place, path: Path) -> bool:
    """Whether the file is there and was not made for this repository."""
    text = _read(path)
    return text is not None and place.mark not in text


def check_host() -> None:
    """Raises Refused: not root, or no systemd."""
    if os.geteuid() != 0:
        wrong = "units of the system can only be installed by root"
        raise Refused(Problem(field="user", value=str(os.geteuid()), wrong=wrong, fix="sudo make setup-host"))
    if not BOOTED.is_dir():
        raise Refused(
            Problem(
                field="systemd",
                wrong="it does not run on this host",
                fix="let another scheduler call scripts/backup-mailserver.sh and sync-to-s3.sh",
            )
        )


def apply(todo: list[Change], timers: list[str]) -> None:
    """Write and remove files, then start `timers` and stop those that are gone. Raises Refused."""
    going = [c.path.name for c in todo if c.wanted is None and _is_started(c.path)]
    if going:
        systemctl("disable", "--now", *going)
    for change in todo:
        if change.wanted is None:
            change.path.unlink(missing_ok=True)
        else:
            _write(change.path, change.wanted)
    systemctl("daemon-reload")
    _take_over({change.path for change in todo if change.wanted is not None})
    if timers:
        systemctl("enable", "--quiet", *timers)
        # A running timer keeps its old calendar until it is started again.
        systemctl("restart", *timers)


def _is_started(path: Path) -> bool:
    return path.suffix in (".timer", ".path") or path.name.endswith(("-firewall.service", "-metrics.service"))


def _take_over(changed: set[Path]) -> None:
    """Let running services read what changed; those that do not run yet read it when they start."""
    if any(path.suffix == ".nft" for path in changed):
        unit = next(path.stem for path in changed if path.suffix == ".nft")
        systemctl("enable", "--quiet", f"{unit}-firewall.service")
        systemctl("reload-or-restart", f"{unit}-firewall.service")
    if any("journald" in path.parent.name for path in changed):
        systemctl("restart", "systemd-journald")


def systemctl(*words: str) -> str:
    """Run systemctl and return what it prints. Raises Refused with its own words."""
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        wrong = f"failed with exit code {done.returncode}; what it said stands above"
        problem = Problem(field=f"systemctl {words[0]}", wrong=wrong, fix="systemctl status shows more")
        raise Refused(problem, details=done.stderr)
    return done.stdout


def _candidates(place: Place) -> list[Path]:
    return [*sorted(UNIT_FOLDER.glob(f"{place.project}-*")), COMMAND, place.home / "run", *files.names(place)]


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        fix = "look at what it is, and move it away"
        raise Refused(Problem(field=str(path), wrong=f"cannot be read: {error.strerror}", fix=fix)) from None


def _write(path: Path, text: str) -> None:
    """Whole or not at all: systemd may read the folder at any moment."""
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, "utf-8")
        beside.chmod(
            0o440 if path.parent.name == "sudoers.d" else 0o755 if text.startswith("#!/bin/sh") else 0o644
        )
        beside.replace(path)
    except OSError as error:
        wrong, fix = (
            f"cannot be written: {error.strerror}",
            "make room, or mount the file system for writing",
        )
        raise Refused(Problem(field=str(path), wrong=wrong, fix=fix)) from None
