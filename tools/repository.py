"""Make the generated repository: render it, note where it came from, and commit it; whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tools.answers import ROOT, Refusal

MESSAGE = "A mail server repository, as generated from its template"
# What of the template ends up in a generated repository.
PARTS = ("cookiecutter.json", "hooks", "schemas", "policies", "{{cookiecutter.project_slug}}")


class Source(NamedTuple):
    """Where `make update` finds the template: path or URL, commit, and whether it was edited since."""

    template: str
    commit: str
    edited: bool


def git(folder: Path, *words: str, check: bool = False) -> str:
    """Return what git says in a folder, or an empty text if it fails; nothing of a calling git reaches it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=check)
    return done.stdout.strip() if done.returncode == 0 else ""


def source(root: Path = ROOT) -> Source | None:
    """Return where the template comes from; None if it is no git clone, or there is no git."""
    if not shutil.which("git") or git(root, "rev-parse", "--show-toplevel") != str(root):
        return None
    commit = git(root, "rev-parse", "HEAD")
    if not commit:
        return None
    remote = git(root, "remote", "get-url", "origin")
    # A commit that nobody has pushed can be found in this clone only.
    published = remote and git(root, "branch", "--remotes", "--contains", commit)
    edited = bool(git(root, "status", "--porcelain", "--", *PARTS))
    return Source(remote if published else str(root), commit, edited)


def free_target(out: Path, slug: str) -> Path:
    """Return the folder to make; Refusal if it exists or if `out` cannot hold it."""
    usable(out)
    target = out / slug
    if target.exists() or target.is_symlink():
        raise Refusal(f"{target} exists; choose another OUT or project_slug, or move it away")
    return target


def usable(out: Path) -> None:
    """Raise Refusal if no repository can be made in `out`, whatever its name."""
    if any(part.startswith("{{") for part in out.parts):
        raise Refusal(f"{out} is part of the template; choose another OUT")
    nearest = next(folder for folder in (out, *out.parents) if folder.exists() or folder.is_symlink())
    if not nearest.is_dir():
        raise Refusal(f"{nearest} is not a folder; choose another OUT")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise Refusal(f"{nearest} cannot be written; choose another OUT")


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Give a folder beside the target to work in, and leave nothing that was not there if the work fails."""
    new = next((folder for folder in reversed([out, *out.parents]) if not folder.exists()), None)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=out) as stage:
            yield Path(stage)
    except BaseException:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
        raise


def render(given: Mapping[str, object], stage: Path) -> Path:
    """Run cookiecutter for good answers, with nothing of the user's own configuration; return its folder."""
    from cookiecutter.main import cookiecutter

    config = stage / "config.yml"
    private = {"cookiecutters_dir": str(stage / "cache"), "replay_dir": str(stage / "replay")}
    config.write_text(json.dumps(private), encoding="utf-8")
    made = cookiecutter(
        str(ROOT),
        no_input=True,
        extra_context=dict(given),
        output_dir=str(stage / "made"),
        config_file=str(config),
    )
    return Path(made)


def note_source(project: Path, given: Mapping[str, object], found: Source) -> None:
    """Write .cruft.json, from which `make update` knows the template, its commit and the answers."""
    answered = {field: value if isinstance(value, bool) else str(value) for field, value in given.items()}
    state = {
        "template": found.template,
        "commit": found.commit,
        "checkout": None,
        "context": {"cookiecutter": {**answered, "_template": found.template, "_commit": found.commit}},
        "directory": None,
    }
    text = json.dumps(state, ensure_ascii=False, indent=2) + "\n"
    (project / ".cruft.json").write_text(text, encoding="utf-8")


def commit(project: Path, given: Mapping[str, object]) -> str | None:
    """Make the first commit and return its author, or None where there is no git.

    Without a name and an address in git's configuration the author is project_name <admin_email>.
    """
    if not shutil.which("git"):
        return None
    name, address = (
        git(project, "config", "--get", "user.name"),
        git(project, "config", "--get", "user.email"),
    )
    if not (name and address):
        name, address = str(given["project_name"]), str(given["admin_email"])
    # A person's own set-up decides nothing here: no hooks, no signing, no file ignored or converted.
    plain = ("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false")
    author = ("-c", f"user.name={name}", "-c", f"user.email={address}")
    git(project, "init", "--quiet", "--initial-branch=main", "--template=", check=True)
    git(project, *plain, "add", "--all", "--force", check=True)
    git(project, *plain, *author, "commit", "--quiet", f"--message={MESSAGE}", check=True)
    return f"{name} <{address}>"
