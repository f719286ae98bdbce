"""What `make setup-host` brings of the agent: folder, agent.yml, GitHub's host key, a first version."""

import re
import shutil
from pathlib import Path

from mailctl.agent.home import Home, git
from mailctl.agent.settings import CHECKS, FILE, SIGNATURE, TEXT
from mailctl.agent.versions import install
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import private

# https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints
KNOWN_HOSTS = """\
github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
github.com ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxk\
ZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=
"""


def missing(context: Context) -> list[str]:
    """What is not there, for people."""
    home = Home.of(context)
    parts = {home.key("known_hosts"): "", home.root / FILE: ": what this host takes from git"}
    found = [f"{path}{what}" for path, what in parts.items() if not path.exists()]
    version = home.version("current")
    if not version or not (version / "env" / "bin" / "python").exists():
        found.append(f"{home.root}/current: mailctl of this commit, with all that it requires")
    return found


def repair(context: Context) -> None:
    """Bring it; what is there stays. Raises Refused: no git repository, or a package is not to be had."""
    home = Home.of(context)
    private(home.root).chmod(0o700)
    private(home.key("known_hosts").parent)
    _write(home.key("known_hosts"), KNOWN_HOSTS)
    _write(home.root / FILE, _settings(context, home))
    commit = git(home.repo, "rev-parse", "HEAD").stdout.decode().strip()
    if not commit:
        fix = "clone it from where its commits are, then copy .env and secrets/ into the clone"
        raise Refused(Problem("repository", "is no git repository", fix, value=str(home.repo)))
    home.point("current", install(home, commit))


def _write(path: Path, text: str) -> None:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(text, "utf-8")


def _settings(context: Context, home: Home) -> str:
    """agent.yml from what git and an older .env say."""

    def said(*words: str) -> str:
        return git(home.repo, *words).stdout.decode().strip()

    name = context.setting("DEPLOY_REMOTE", "origin")
    remote = said("remote", "get-url", name) or name
    owned = re.search(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", remote)
    trust = "" if context.setting("DEPLOY_METHOD") == "ssh" else CHECKS
    if context.setting("DEPLOY_SIGNED").lower() == "true":
        trust, signers = SIGNATURE, said("config", "--path", "gpg.ssh.allowedSignersFile")
        if signers and Path(signers).is_file() and not home.key("allowed_signers").exists():
            shutil.copyfile(signers, home.key("allowed_signers"))
    branch = context.setting("DEPLOY_BRANCH", "main")
    repository = owned[1] if owned else '""'
    return TEXT.format(repository=repository, remote=remote, branch=branch, trust=trust)
