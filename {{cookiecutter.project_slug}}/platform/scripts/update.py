"""Merge a newer version of the template into this repository: `make update` runs this.

The version that this repository came from and the newest one are rendered with the same answers, and git
merges the difference, also into files that the template has moved. What was edited here stays; where both
changed the same lines, git leaves its marks. platform/ is replaced as a whole; edits in it become a patch.
Exit code 0: merged, or nothing to do; 1: not possible, or something is left to resolve.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

STATE = Path(".cruft.json")
PLATFORM = "platform"
PATCH = Path("platform.patch")
NEXT = "Look at it (git diff HEAD), run make check, commit it, and deploy it as any other change."
# Nothing of a person's own configuration decides how files are stored, found again and merged.
PLAIN = {
    "core.autocrlf": "false",
    "core.hooksPath": "/dev/null",
    "core.quotePath": "false",
    "diff.noprefix": "false",
    "merge.conflictStyle": "merge",
    # A file of the operator's own stays where it is, even if the template moved all the others in its folder.
    "merge.directoryRenames": "false",
    "merge.renames": "true",
    "user.email": "update@localhost",
    "user.name": "make update",
}


class NotMerged(Exception):
    """The template could not be rendered or merged; nothing is changed."""


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run git and return what came of it."""
    plain = [word for name, value in PLAIN.items() for word in ("-c", f"{name}={value}")]
    return subprocess.run(
        ["git", *plain, *words], env=os.environ | variables, capture_output=True, text=True, check=False
    )


def git(*words: str, **variables: str) -> str:
    """Return what git prints; NotMerged if it fails."""
    done = run(*words, **variables)
    if done.returncode:
        raise NotMerged(done.stderr.strip())
    return done.stdout.rstrip("\n")


def refused() -> str | None:
    """Return why nothing can be merged into this folder, with what to do about it, or None."""
    if not STATE.is_file():
        cruft = Path(sys.executable).with_name("cruft")
        return (
            "there is no .cruft.json, so nobody knows which version this came from."
            f" Name it once: {cruft} link TEMPLATE --checkout COMMIT"
        )
    top = run("rev-parse", "--show-toplevel")
    if top.returncode:
        return "this is no git repository: git init && git add . && git commit"
    if Path(top.stdout.rstrip("\n")).resolve() != Path.cwd().resolve():
        return "this is a folder of another git repository: make it one of its own"
    if git("status", "--porcelain"):
        return "there are changes that are not committed: commit them first, so that none is lost"
    return None


def answers(state: dict) -> dict[str, object]:
    """Return what was answered; derived values are derived again."""
    return {name: value for name, value in state["context"]["cookiecutter"].items() if name[0] != "_"}


def render(template: Path, version: str | None, given: dict[str, object], folder: Path) -> tuple[str, dict]:
    """Return a version of the template for these answers, as a tree of git, and what cruft notes of it.

    Raises NotMerged with what cruft or the template's own checks had to say.
    """
    import click
    import cruft
    from cookiecutter.exceptions import CookiecutterException

    folder.mkdir()
    config = folder / "config.yml"
    private = {"cookiecutters_dir": str(folder / "cache"), "replay_dir": str(folder / "replay")}
    config.write_text(json.dumps(private), encoding="utf-8")
    failures = (click.ClickException, CookiecutterException, OSError, ValueError)
    # What cruft has to say is for people; the result is said by report().
    with contextlib.redirect_stdout(sys.stderr):
        try:
            made = cruft.create(
                str(template), folder / "made", config, extra_context=given, no_input=True, checkout=version
            )
        except failures as error:
            raise NotMerged(str(error)) from error
    noted = json.loads((made / STATE).read_text(encoding="utf-8"))
    (made / STATE).unlink()
    here = {"GIT_DIR": git("rev-parse", "--absolute-git-dir"), "GIT_INDEX_FILE": str(folder / "index")}
    git("-C", str(made), "add", "--all", "--force", ".", **here, GIT_WORK_TREE=str(made))
    return git("write-tree", **here), noted


def merge(base: str, newest: str, name: str) -> list[str]:
    """Merge the difference of two trees; return what both sides changed, each with what to do about it."""
    before = git("commit-tree", base, "-m", "template")
    after = git("commit-tree", newest, "-p", before, "-m", f"template {name[:12]}")
    done = run("cherry-pick", "--no-commit", "--allow-empty", after)
    stages: dict[str, set[str]] = {}
    for line in git("ls-files", "--unmerged").splitlines():
        entry, _, path = line.partition("\t")
        stages.setdefault(path, set()).add(entry.split()[2])
    if done.returncode and not stages:
        git("reset", "--quiet", "--merge")
        raise NotMerged(done.stderr.strip())
    left = []
    for path, found in stages.items():
        if path.startswith(f"{PLATFORM}/"):
            continue
        if found in ({"1"}, {"1", "3"}):
            # It was deleted or moved here, and so it stays.
            git("rm", "--quiet", "--force", "--", path)
        elif found >= {"2", "3"}:
            left.append(f"{path}: choose between the marks <<<<<<< and >>>>>>>, then git add it")
        else:
            left.append(f"{path}: one of you moved or removed it; git add it to keep it, or git rm it")
    return left


def replace_platform(newest: str) -> list[str]:
    """Make platform/ what the template has; return the files in it that were edited here, kept as a patch."""
    if run("rev-parse", "--verify", "--quiet", f"{newest}:{PLATFORM}").returncode:
        return []
    if Path(PLATFORM).exists():
        git("add", "--all", "--", PLATFORM)
    edits = ("diff", "--cached", "--no-ext-diff", "--no-color", "--no-renames", newest)
    edited = git(*edits, "--name-only", "--", PLATFORM).splitlines()
    if edited:
        PATCH.write_text(git(*edits, "--binary", "--", PLATFORM) + "\n", encoding="utf-8")
    git("rm", "-r", "--quiet", "--force", "--ignore-unmatch", "--", PLATFORM)
    git("checkout", newest, "--", PLATFORM)
    return edited


def forsaken(base: str, newest: str) -> list[str]:
    """Return files that are only here, in folders that the template has left."""
    folders = [set(git("ls-tree", "-rdz", "--name-only", tree).split("\0")) - {""} for tree in (base, newest)]
    gone = sorted(folders[0] - folders[1])
    theirs = set(git("ls-tree", "-rz", "--name-only", base).split("\0"))
    tracked = set(git("ls-files", "-z", "--", *gone).split("\0")) if gone else set()
    return sorted(tracked - theirs - {""})


def report(left: list[str], edited: list[str], own: list[str], versions: tuple[str, str]) -> int:
    """Say what the update did; 1 if something is left to resolve."""
    changed = git("diff", "--cached", "--name-only", "HEAD", "--", ".", f":!{STATE}").splitlines()
    before, after = (version[:12] for version in versions)
    for path in own:
        where = "is yours, in a folder that the template no longer has"
        print(f"{path} {where}: move it, or git rm it", file=sys.stderr)
    if left:
        print("both the template and you changed these; nothing of yours is overwritten:", file=sys.stderr)
        print(*(f"  {line}" for line in left), sep="\n", file=sys.stderr)
    if edited:
        print(
            f"every update replaces {PLATFORM}/. Your edits in it are in {PATCH} now: move them to your own"
            f" files, offer them to the template, or put them back with git apply {PATCH}",
            file=sys.stderr,
        )
        print(*(f"  {path}" for path in edited), sep="\n", file=sys.stderr)
    if left or edited:
        print(f"or take all of it back: git reset --hard && rm -f {PATCH}", file=sys.stderr)
        return 1
    if not changed:
        print("nothing to merge: this repository is up to date")
        return 0
    print(f"{len(changed)} files are merged, from {before} to {after}. {NEXT}")
    return 0


def update(template: str, version: str | None, changed: dict[str, object]) -> int:
    """Render both versions, merge, replace platform/, and note the new version."""
    state = json.loads(STATE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "template"
        git("clone", "--quiet", "--bare", template, str(clone))
        base, _ = render(clone, state["commit"], answers(state), Path(name) / "before")
        newest, noted = render(clone, version, answers(state) | changed, Path(name) / "after")
    left = merge(base, newest, noted["commit"])
    edited = replace_platform(newest)
    own = forsaken(base, newest)
    noted["context"]["cookiecutter"]["_template"] = noted["template"] = template
    if changed or (noted["commit"], template) != (state["commit"], state["template"]):
        text = json.dumps(state | noted, ensure_ascii=False, indent=2, separators=(",", ": "))
        STATE.write_text(text + "\n", encoding="utf-8")
        git("add", "--", str(STATE))
    return report(left, edited, own, (state["commit"], noted["commit"]))


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
    template = options.template or json.loads(STATE.read_text(encoding="utf-8"))["template"]
    if Path(template).exists():
        template = str(Path(template).absolute())
    print(f"comparing with {template} …", file=sys.stderr, flush=True)
    try:
        return update(template, options.version, dict(a.split("=", 1) for a in options.answer))
    except NotMerged as error:
        print(f"nothing is changed: {error}", file=sys.stderr)
        print("Is an answer wrong? make update ANSWER=question=answer", file=sys.stderr)
        print("Has the template moved? make update TEMPLATE=path-or-URL", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
