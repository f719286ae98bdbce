"""Merge a newer version of the template into this repository: `make update` runs this.

cruft renders the version that this repository came from and the newest one with the same answers, and applies
the difference. What was edited here stays; where both changed the same lines, git leaves its conflict marks.
Exit code 0: merged, or nothing to do; 1: not possible, or conflicts are left to resolve.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from pathlib import Path

STATE = Path(".cruft.json")
NEXT = "Look at it (git diff HEAD), run make check, commit it, and deploy it as any other change."


class NotMerged(Exception):
    """The template could not be rendered or its difference not be applied; nothing is changed."""


def git(*words: str) -> list[str]:
    """Return the lines that git prints."""
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def refused() -> str | None:
    """Return why nothing can be merged into this folder, with what to do about it, or None."""
    if not STATE.is_file():
        return (
            "there is no .cruft.json, so nobody knows which version this came from."
            " Name it once: .venv-update/bin/cruft link TEMPLATE --checkout COMMIT"
        )
    if subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, check=False).returncode:
        return "this is no git repository: git init && git add . && git commit"
    if git("status", "--porcelain"):
        return "there are changes that are not committed: commit them first, so that none is lost"
    return None


def merge(template: str | None, version: str | None, changed: dict[str, str]) -> bool:
    """Let cruft apply the difference, also of changed answers; derived values are derived again.

    Raises NotMerged with what cruft, git or the template's own checks had to say.
    """
    import click
    import cruft
    from cookiecutter.exceptions import CookiecutterException

    failures = (
        click.ClickException,
        CookiecutterException,
        subprocess.CalledProcessError,
        OSError,
        ValueError,
    )
    # What cruft has to say is for people; the result is said by report().
    with contextlib.redirect_stdout(sys.stderr):
        try:
            return cruft.update(
                template_path=template,
                checkout=version,
                extra_context=changed,
                refresh_private_variables=True,
                skip_apply_ask=True,
            )
        except failures as error:
            raise NotMerged(str(error)) from error


def commits() -> tuple[str, str]:
    """Return the template and its commit that this repository stands at."""
    state = json.loads(STATE.read_text(encoding="utf-8"))
    return state["template"], state["commit"]


def report(before: str) -> int:
    """Say what the update did; 1 if something is left to resolve."""
    conflicts = git("diff", "--name-only", "--diff-filter=U")
    rejected = git("ls-files", "--others", "--exclude-standard", "--", "*.rej")
    if conflicts or rejected:
        print("both the template and you changed these; nothing of yours is overwritten:", file=sys.stderr)
        for path in conflicts:
            print(f"  {path}: choose between the marks <<<<<<< and >>>>>>>, then git add it", file=sys.stderr)
        for path in rejected:
            print(f"  {path}: what could not be applied; do it by hand, then delete it", file=sys.stderr)
        print("or take all of it back: git reset --hard && git clean -f '*.rej'", file=sys.stderr)
        return 1
    changed = [line for line in git("status", "--porcelain") if not line.endswith(f" {STATE}")]
    if not changed:
        git("checkout", "--quiet", "HEAD", "--", str(STATE)) if commits()[1] == before else None
        print("nothing to merge: this repository is up to date")
        return 0
    print(f"{len(changed)} files are merged, from {before[:12]} to {commits()[1][:12]}. {NEXT}")
    return 0


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--template", help="path or URL of the template, if it has moved")
    parser.add_argument("--version", help="its branch, tag or commit (default: the newest)")
    parser.add_argument(
        "--answer", action="append", default=[], metavar="QUESTION=ANSWER", help="an answer to change"
    )
    options = parser.parse_args()
    if why := refused():
        print(f"nothing is changed: {why}", file=sys.stderr)
        return 1
    template, before = commits()
    print(f"comparing with {options.template or template} …", file=sys.stderr, flush=True)
    try:
        merged = merge(options.template, options.version, dict(a.split("=", 1) for a in options.answer))
    except NotMerged as error:
        print(f"nothing is changed: {error}", file=sys.stderr)
        print("Is an answer wrong? make update ANSWER=question=answer", file=sys.stderr)
        print("Has the template moved? make update TEMPLATE=path-or-URL", file=sys.stderr)
        return 1
    return report(before) if merged else 1


if __name__ == "__main__":
    raise SystemExit(main())
