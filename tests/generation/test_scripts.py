"""The four scripts that operators know: each runs its mailctl command on its own repository."""

from __future__ import annotations

import subprocess

import pytest

SCRIPTS = {
    "backup-mailserver.sh": "backup",
    "restore-mailserver.sh": "restore",
    "sync-to-s3.sh": "sync",
    "scan-before-restore.sh": "scan",
}
# Stands in for mailctl: prints the repository it was given, then its arguments, one a line.
SAYS = '#!/bin/sh\nprintf "%s\\n" "$MAILCTL_REPO" "$@"\n'


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_hands_its_options_to_mailctl(repositories, tmp_path, script):
    root = tmp_path / "mail server"
    (root / ".venv/bin").mkdir(parents=True)
    (root / "scripts").mkdir()
    (root / ".venv/bin/mailctl").write_text(SAYS)
    (root / ".venv/bin/mailctl").chmod(0o755)
    made = repositories["defaults"] / "scripts" / script
    (root / "scripts" / script).write_bytes(made.read_bytes())
    (root / "scripts" / script).chmod(made.stat().st_mode)
    (tmp_path / "link").symlink_to(root / "scripts" / script)
    options = ["--from", "/mnt/large disk/daily/2026-11-26", "--component", "all"]
    said = subprocess.run([tmp_path / "link", *options], cwd="/", capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == [str(root), SCRIPTS[script], *options]
