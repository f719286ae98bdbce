"""A repository of 0.8.0 with edits of its operator moves to today's layout: none is lost, conflicts are told.

By its own `make update`, which knows nothing of files that move, and by `make update REPO=` of this template.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cruft
import pytest

from tests.generation.test_cruft import PARTS, commit, git
from tests.generation.test_update import UPDATE
from tools import answers, release

VERSION = "0.8.0"
MADE = shutil.ignore_patterns(".venv*", "__pycache__", "*.egg-info", "node_modules", ".*_cache")
#: File, what stands in it, and what its operator makes of that.
EDITS = (
    ("config/postfix/main.cf", "maximal_queue_lifetime = 5d", "maximal_queue_lifetime = 4d"),
    ("config/dovecot/dovecot.conf", "login_greeting = Ready.", "login_greeting = Acme is ready."),
    ("config/rspamd/local.d/actions.conf", "reject = 15;", "reject = 18;"),
    ("docker-compose.yml", "memory: 512M, pids: 200", "memory: 640M, pids: 210"),
    ("policy.yml", "memory: 512M\n    capabilities", "memory: 640M\n    capabilities"),
    ("edge/edge.yml", "  rules: []", '  rules:\n    - {address: "a@acme.com", forward: "a@acme.example"}'),
    ("terraform/s3-backup/lifecycle.tf", "var.object_lock_days + 30", "var.object_lock_days + 45"),
    ("docs/operations.md", "# Operations\n", "# Operations\n\nThe keys are with Jo.\n"),
    ("Makefile", "\nlint: ", "\nacme: ## Of Acme\n\t@echo a target of Acme\n\nlint: "),
    (".github/workflows/monthly.yml", 'cron: "41 4 2 * *"', 'cron: "7 3 9 * *"'),
    ("mailctl/src/mailctl/cli.py", "1 refused or failed, 2 misuse.", "1 refused or failed, 2 misuse (Acme)."),
    ("usermgmt/usermgmt/web/templates/login.html", '<article class="narrow">', '<article class="wide">'),
    ("scripts/scan-images.sh", "--severity HIGH,CRITICAL", "--severity MEDIUM,HIGH,CRITICAL"),
    ("postfix/entrypoint.sh", "umask 077\n", "umask 077\necho 'the Postfix of Acme' >&2\n"),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """This checkout as it is now, committed on top of its history."""
    release.versions()  # says what is missing in a clone that is too shallow
    folder = tmp_path_factory.mktemp("template") / "template"
    git(answers.ROOT, "clone", "--quiet", str(answers.ROOT), str(folder))
    for part in PARTS:
        target, source = folder / part, answers.ROOT / part
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, symlinks=True, ignore=MADE)
        else:
            shutil.copy2(source, target)
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "As it is now")
    return folder


@pytest.fixture(scope="module")
def edited(template, tmp_path_factory) -> Path:
    """A repository of 0.8.0 with its operator's edits, and one file of their own."""
    folder = tmp_path_factory.mktemp("made")
    config = folder / "config.json"
    config.write_text(f'{{"cookiecutters_dir": "{folder}/cache", "replay_dir": "{folder}/replay"}}')
    given = {"mail_domain": "acme.com", "admin_email": "ada@acme.org"}
    version = release.COMMITS[VERSION]
    made = cruft.create(str(template), folder, config, extra_context=given, checkout=version, no_input=True)
    git(made, "init", "--quiet", "--initial-branch=main")
    commit(made, "As generated")
    for name, old, new in EDITS:
        text = (made / name).read_text(encoding="utf-8")
        assert old in text, name
        (made / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    (made / "mailctl" / "acme.md").write_text("A file of Acme\n", encoding="utf-8")
    commit(made, "Edited")
    return made


@pytest.fixture
def made(edited, tmp_path) -> Path:
    """A copy of it that a test may update."""
    return Path(shutil.copytree(edited, tmp_path / "acme", symlinks=True))


def update(made: Path, script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)], cwd=made, capture_output=True, text=True, check=False
    )


def texts(made: Path) -> dict[str, str]:
    """Return what stands in every file that git would take."""
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    done = subprocess.run(command, cwd=made, check=True, capture_output=True, text=True)
    there = [name for name in done.stdout.split("\0") if name and (made / name).is_file()]
    return {name: (made / name).read_bytes().decode(errors="replace") for name in there}


def unreported(made: Path, said: str) -> list[str]:
    """Return the edits that are in no file, or only in a conflict or a patch that the update did not name."""
    found = texts(made)
    lost = []
    for name, old, new in EDITS:
        lines = set(new.splitlines()) - set(old.splitlines())
        holding = [path for path, text in found.items() if all(line in text for line in lines)]
        live = [
            path
            for path in holding
            if not re.search(r"\.(patch|rej)$", path) and "<<<<<<<" not in found[path]
        ]
        if not holding or not (live or re.search(rf"\b{re.escape(Path(name).name)}\b", said)):
            lost.append(name)
    return lost


def test_its_own_make_update_loses_nothing(template, made):
    done = update(made, made / "scripts" / "update.py")
    assert unreported(made, done.stdout + done.stderr) == []
    assert (made / "mailctl" / "acme.md").exists()


def test_after_its_own_make_update_the_new_one_brings_platform_in_order(template, made):
    first = update(made, made / "scripts" / "update.py")
    for left in made.rglob("*.rej"):
        left.unlink()
    commit(made, "Updated by 0.8.0")
    second = update(made, template / UPDATE)
    assert unreported(made, first.stderr + second.stderr) == []


def test_the_templates_make_update_loses_nothing_and_lists_what_is_left_to_do(template, made):
    done = update(made, template / UPDATE)
    said = done.stdout + done.stderr
    assert unreported(made, said) == []
    conflicts = {name for name, text in texts(made).items() if re.search(r"^<{7} ", text, re.MULTILINE)}
    assert [name for name in conflicts - {"platform.patch"} if name not in said] == []
    assert (done.returncode == 0) == ("are merged, from" in done.stdout)
    assert (made / "mailctl" / "acme.md").exists()
