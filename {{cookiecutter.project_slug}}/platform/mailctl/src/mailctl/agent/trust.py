"""Which commits this host takes: descendants of what runs, trusted in each way that agent.yml names."""

import os
import shlex
import subprocess
from typing import Any

from mailctl.agent.github import GitHub, Trouble
from mailctl.agent.home import Home, git
from mailctl.agent.settings import CHECKS, REF, SIGNATURE, Settings
from mailctl.core.errors import Problem, Refused

FETCH_SECONDS = 300


class Waiting(Exception):
    """Nobody knows yet whether the commit is good."""


def fetch(home: Home, settings: Settings, branch: str) -> str:
    """The newest commit of a branch. Raises Trouble with git's words."""
    ssh = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=20"]
    ssh += ["-o", f"UserKnownHostsFile={shlex.quote(str(home.key('known_hosts')))}"]
    if home.key("deploy_key").exists():
        ssh += ["-i", str(home.key("deploy_key")), "-o", "IdentitiesOnly=yes"]
    env = {**os.environ, "GIT_SSH_COMMAND": shlex.join(ssh), "GIT_TERMINAL_PROMPT": "0"}
    place = f"refs/remotes/origin/{branch}"
    try:
        words = ("fetch", "--quiet", "--no-tags", settings.remote, f"+refs/heads/{branch}:{place}")
        done = git(home.repo, *words, env=env, timeout=FETCH_SECONDS)
        said = done.stderr.decode("utf-8", "replace") if done.returncode else ""
    except subprocess.TimeoutExpired:
        said = f"no answer within {FETCH_SECONDS} s"
    if said:
        wrong = f"cannot be fetched: {' '.join(said.split())[-300:]}"
        fix = f"see whether the deploy key may read it: git ls-remote {settings.remote}"
        raise Trouble(Problem(branch, wrong, fix))
    return git(home.repo, "rev-parse", place).stdout.decode().strip()


def descends(home: Home, commit: str, from_: str) -> bool:
    return git(home.repo, "merge-base", "--is-ancestor", from_, commit).returncode == 0


def judge(home: Home, settings: Settings, github: GitHub, commit: str) -> None:
    """Raises Refused with why the commit is not trusted, Waiting, or Trouble: it cannot be found out."""
    if SIGNATURE in settings.trust:
        _signature(home, commit)
    if REF in settings.trust and (found := fetch(home, settings, settings.ref)) != commit:
        raise Waiting(f"{settings.ref} points at {found[:12]}")
    if CHECKS in settings.trust:
        _checks(settings, github.runs(commit), commit)


def _signature(home: Home, commit: str) -> None:
    # Only keys of this file count: not those that root's GnuPG happens to know.
    only = {
        "gpg.ssh.allowedSignersFile": home.key("allowed_signers"),
        "gpg.program": "false",
        "gpg.x509.program": "false",
    }
    options = [word for name, value in only.items() for word in ("-c", f"{name}={value}")]
    done = git(home.repo, *options, "verify-commit", commit)
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[-200:] or "it has no signature"
        fix = f"sign it with a key that {home.key('allowed_signers')} names"
        raise Refused(Problem("signature", said, fix, value=commit[:12]))


def _checks(settings: Settings, runs: list[dict[str, Any]], commit: str) -> None:
    for path in settings.workflows:
        found = [one for one in runs if _is_ours(one, settings, path, commit)]
        if not found:
            raise Waiting(f"there is no run of {path} yet")
        newest = max(found, key=lambda one: (one.get("run_number", 0), one["id"]))
        if newest.get("status") != "completed":
            raise Waiting(f"{path} is {newest.get('status')}")
        if newest.get("conclusion") != "success":
            wrong = f"{path} ended with {newest.get('conclusion')}"
            fix = "fix it in a new commit, or run it again at GitHub"
            raise Refused(Problem("checks", wrong, fix, value=commit[:12]))


def _is_ours(run: dict[str, Any], settings: Settings, path: str, commit: str) -> bool:
    """Not of a fork, another branch or another event, whatever GitHub's filters let through."""
    wanted = ("push", settings.branch, commit)
    repository = str((run.get("head_repository") or {}).get("full_name", ""))
    return (
        (run.get("event"), run.get("head_branch"), run.get("head_sha")) == wanted
        and str(run.get("path", "")).partition("@")[0] == path
        and repository.lower() == settings.repository.lower()
    )
