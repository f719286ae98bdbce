"""What `make setup-host` brings of the agent: folder, agent.yml, GitHub's host key, a first version."""

import re
import shutil
from pathlib import Path

from mailctl.agent.home import Home, git
from mailctl.agent.settings import CHECKS, FILE, SIGNATURE
from mailctl.agent.versions import install
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import private


def missing(context: Context) -> list[str]:
    """What is not there, for people."""
    home = Home.of(context)
    found = [str(path) for path in (home.key("known_hosts"), home.root / FILE) if not path.exists()]
    version = home.version("current")
    if not version or not (version / "env" / "bin" / "python").exists():
        found.append(f"{home.root}/current: mailctl of this commit, with all that it requires")
    return found


def repair(context: Context) -> None:
    """Bring it; what is there stays. Raises Refused: no git repository, or a package is not to be had."""
    home = Home.of(context)
    private(home.key("known_hosts").parent)
    home.root.chmod(0o700)
    known_hosts = Path(__file__).with_name("known_hosts").read_text("utf-8")
    for path, text in ((home.key("known_hosts"), known_hosts), (home.root / FILE, _settings(context, home))):
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(text, "utf-8")
    commit = git(home.repo, "rev-parse", "HEAD").stdout.decode().strip()
    if not commit:
        fix = "clone it from where its commits are, then copy .env and secrets/ into the clone"
        raise Refused(Problem("repository", "is no git repository", fix, value=str(home.repo)))
    home.point("current", install(home, commit))


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
    branch, repository = context.setting("DEPLOY_BRANCH", "main"), owned[1] if owned else '""'
    text = Path(__file__).with_name(FILE).read_text("utf-8")
    return text.format(repository=repository, remote=remote, branch=branch, trust=trust)
