"""The repository on this host: the live tree that containers mount, and a commit beside it to be checked."""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import private
from mailctl.core.runtime import Service


@dataclass(frozen=True)
class Tree:
    """The live tree at `repo`; `stage` is where a commit is looked at before it becomes live."""

    repo: Path
    stage: Path

    def commit(self, ref: str) -> str:
        """The commit a name stands for. Raises Refused when this repository does not have it."""
        done = self._call("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if done.returncode:
            wrong = "is no commit of this repository" if self._is_git else "this folder is no git repository"
            fix = "git fetch, then try again; git log shows what there is"
            raise Refused(Problem("--ref", wrong, fix, value=ref))
        return done.stdout.strip()

    @property
    def head(self) -> str:
        return self.commit("HEAD")

    @property
    def shown(self) -> Path:
        """Where the files of the commit in question lie: beside, while it is looked at, or live."""
        return self.stage if self.stage.exists() else self.repo

    @property
    def _is_git(self) -> bool:
        return self._call("rev-parse", "--git-dir").returncode == 0

    def refuse_edits(self) -> None:
        """Raises Refused when a file of git was edited here: the edit would be lost, or live unchecked."""
        # Secrets are sealed here and committed elsewhere.
        edited = [file for file in self.edited("no") if not file.startswith("secrets.age/")]
        if edited:
            wrong = (
                f"files differ from their commit: {', '.join(edited[:5])}{' …' if len(edited) > 5 else ''}"
            )
            fix = "commit and push them from your own machine; git checkout -- . drops them here"
            raise Refused(Problem("repository", wrong, fix, value=str(self.repo), next="git status"))

    def edited(self, untracked: str = "normal") -> list[str]:
        """Files that differ from the commit, those that git does not have too, unless `untracked` is no."""
        listed = self._git("status", "--porcelain", f"--untracked-files={untracked}").splitlines()
        return [line[3:] for line in listed]

    def behind(self, ref: str) -> int | None:
        """How many commits of a branch the live tree does not have; None: no such branch is known here."""
        done = self._call("rev-list", "--count", f"HEAD..{ref}", "--")
        return int(done.stdout) if done.returncode == 0 else None

    def prepare(self, commit: str) -> Path:
        """Put the files of a commit at `stage`; what lay there goes."""
        self.clear()
        private(self.stage.parent)
        self._git("worktree", "add", "--quiet", "--force", "--detach", str(self.stage), commit)
        return self.stage

    def clear(self) -> None:
        shutil.rmtree(self.stage, ignore_errors=True)
        self._git("worktree", "prune")

    def go(self, commit: str) -> None:
        """Make a commit the live tree. What git does not have (.env, secrets) stays."""
        if self.head != commit or self._git("status", "--porcelain", "--untracked-files=no").strip():
            lock = self.repo / self._git("rev-parse", "--git-path", "index.lock").strip()
            lock.unlink(missing_ok=True)  # left by one that was killed: the deploy lock keeps others out
            self._git("checkout", "--quiet", "--force", "--detach", commit)

    def id(self, commit: str, path: Path) -> str:
        """What git calls the content of a folder at a commit; empty when it is not in there."""
        if not path.is_relative_to(self.repo):
            return ""
        inside = path.relative_to(self.repo).as_posix()
        return self._call("rev-parse", "--verify", "--quiet", f"{commit}:{inside}").stdout.strip()

    def staged(self, path: Path) -> Path:
        """Where a file of the live tree lies at `stage`; the file itself when git does not have it."""
        if not path.is_relative_to(self.repo):
            return path
        found = self.stage / path.relative_to(self.repo)
        return found if found.exists() else path

    def subject(self, commit: str) -> str:
        """The first line of a commit's message."""
        return self._call("log", "-1", "--format=%s", commit).stdout.strip()[:80]

    def fetch(self, remote: str, branch: str) -> str:
        """The newest commit of a branch elsewhere. Raises Refused with git's words."""
        self._git("fetch", "--quiet", remote, branch)
        return self.commit("FETCH_HEAD")

    def verify(self, commit: str) -> None:
        """Raises Refused unless the commit has a signature that git trusts."""
        done = self._call("verify-commit", commit)
        if done.returncode:
            said = " ".join(done.stderr.split())[-200:] or "it has no signature"
            fix = "sign it, or tell git here whom to trust: gpg.ssh.allowedSignersFile"
            raise Refused(Problem("signature", said, fix, value=commit[:12]))

    def _git(self, *words: str) -> str:
        done = self._call(*words)
        if done.returncode:
            said = " ".join(done.stderr.split())[-300:]
            raise Refused(Problem(f"git {words[0]}", f"failed: {said}", "git status", value=str(self.repo)))
        return done.stdout

    def _call(self, *words: str) -> "subprocess.CompletedProcess[str]":
        # Accounts of containers must be able to read what is checked out, whatever the caller's umask is.
        return subprocess.run(
            ["git", "-C", str(self.repo), *words], capture_output=True, text=True, check=False, umask=0o022
        )


def digest(service: Service, tree: Tree, staged: bool) -> str:
    """A hash over what a service mounts from the host, live or staged. Folders outside the repository, which
    hold data, are not read."""
    sha = hashlib.sha256()
    for source, target in sorted(service.files):
        path = tree.staged(source) if staged else source
        for file in _files(path, tree, source):
            name = target if file == path else f"{target}/{file.relative_to(path)}"
            sha.update(f"{name}\0{file.stat().st_mode & 0o111:o}\0".encode())
            sha.update(hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()


def changed_at(service: Service, tree: Tree) -> float:
    """When a file it mounts was last changed or put in place of another, in epoch seconds."""
    found = (file for source, _ in service.files for file in _files(source, tree, source))
    return max((file.stat().st_ctime for file in found), default=0.0)


def _files(path: Path, tree: Tree, source: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir() or not source.is_relative_to(tree.repo):
        return []
    return sorted(file for file in path.rglob("*") if file.is_file())
