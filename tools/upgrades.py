"""`make upgrades`: can a repository of every earlier version follow to this commit, with all its mail?

Each repository is made by its version's template and hooks, edited as an operator would, updated, and judged
by its gate. Its local trial, started and filled by the old version, is then started by the new one.
VERSIONS="0.8.0 0.9.0": these only. MAILS=20: so many for each person; 0: no trial, which needs no engine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import engine, release, standins, trial
from tools.answers import ROOT
from tools.release import NotReleased

NAME = "{{cookiecutter.project_slug}}"
# A name and ports of its own: other trials may be running.
PROJECT = "Upgraded"
FIRST_PORT = int(os.environ.get("STACK_FIRST_PORT", "21000")) + 560
# In files that every version has: path, what stands there, what an operator makes of it.
EDITS = (
    ("config/postfix/main.cf", "maximal_queue_lifetime = 5d", "maximal_queue_lifetime = 4d"),
    ("config/rspamd/local.d/actions.conf", "reject = 15;", "reject = 18;"),
    ("config/dovecot/dovecot.conf", "login_greeting = Ready.", "login_greeting = Ready for Jo."),
)
# For the first start alone: the client of today's MariaDB insists on TLS, which that start has not.
NEEDED = {
    "0.7.0": (
        (
            "config/mariadb/initdb/10-accounts.sh",
            '--socket="$socket" --user=root',
            '--socket="$socket" --skip-ssl --user=root',
        ),
    ),
}


def commit(folder: Path, message: str) -> None:
    """Commit all that is in a repository."""
    identity = ("-c", "user.name=upgrades", "-c", "user.email=upgrades@example.com")
    for words in (("add", "--all"), (*identity, "commit", "--quiet", "--message", message)):
        subprocess.run(["git", *words], cwd=folder, check=True)


def edit(made: Path, edits: tuple[tuple[str, str, str], ...]) -> None:
    """Edit files; what stands in them must be there."""
    for name, old, new in edits:
        text = (made / name).read_text(encoding="utf-8")
        if old not in text:
            raise NotReleased(f"{name} does not have {old!r}, which is edited here")
        (made / name).write_text(text.replace(old, new), encoding="utf-8")


def make(version: str, source: str, folder: Path) -> Path:
    """Return a repository as a version made it, edited and committed."""
    import cruft

    config = folder / "config.json"
    private = {"cookiecutters_dir": str(folder / "cache"), "replay_dir": str(folder / "replay")}
    config.write_text(json.dumps(private), encoding="utf-8")
    given = {"project_name": PROJECT}
    made = cruft.create(str(ROOT), folder, config, extra_context=given, checkout=source, no_input=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=made, check=True)
    commit(made, f"Made by {version}")
    edit(made, EDITS)
    commit(made, "Edited")
    return made


def update(made: Path) -> None:
    """Update a repository to this commit, as `make update REPO=` does.

    Raises:
        NotReleased: it is left with conflicts, or an edit is lost.
    """
    command = [sys.executable, str(ROOT / NAME / "platform" / "scripts" / "update.py")]
    command += ["--template", str(ROOT), "--version", release.git("rev-parse", "HEAD")]
    if subprocess.run(command, cwd=made, check=False).returncode:
        raise NotReleased("it cannot be updated to this commit without conflicts")
    for name, _, new in EDITS:
        if new not in (made / name).read_text(encoding="utf-8"):
            raise NotReleased(f"the update has lost an edit of {name}")
    commit(made, "Updated")


def environment(made: Path) -> dict[str, str]:
    """Return what `make local` sees: ports of its own, and stand-ins where no registry answers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    kept |= {f"LOCAL_{name}_PORT": str(FIRST_PORT + number) for number, name in enumerate(trial.PORTS)}
    files = ("docker-compose.yml", "compose.local.yml")
    if standins.choose(made, files).standins:
        with standins.shown_progress() as progress:
            standins.build(progress)
        kept["MAILCTL_LOCAL_OVERRIDES"] = str(standins.override(made, files))
    return kept


def upgrade(version: str, source: str, mails: int, folder: Path) -> None:
    """Make, fill, update, judge and compare one version."""
    made = make(version, source, folder)
    old = None
    try:
        if mails:
            engine.ensure(with_debootstrap=True)
            old = trial.Trial(made, environment(made))
            edit(made, NEEDED.get(version, ()))
            old.start()
            before = old.fill(mails)
            subprocess.run(["git", "checkout", "--quiet", "--", "."], cwd=made, check=True)
        update(made)
        # Its requirements were just written, so their date says nothing about the environment.
        old_file = "--old-file=platform/policies/requirements.txt"
        gate = ["make", "--no-print-directory", "check", f"GATE={ROOT / '.venv-gate'}", old_file]
        subprocess.run(gate, cwd=made, check=True)
        if old:
            new = trial.Trial(made, environment(made))
            new.start()
            new.compare(before)
    finally:
        if old:
            old.end()


def main() -> int:
    """Try every version, or those that are named."""
    try:
        wanted = os.environ.get("VERSIONS", "").split()
        mails = int(os.environ.get("MAILS") or 20)
        for version, source in release.versions().items():
            if not wanted or version in wanted:
                print(f"== {version}", flush=True)
                with tempfile.TemporaryDirectory() as folder:
                    upgrade(version, source, mails, Path(folder))
    except (NotReleased, trial.Lost, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
