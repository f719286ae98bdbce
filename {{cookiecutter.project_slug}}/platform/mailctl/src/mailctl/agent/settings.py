"""agent.yml: what the host trusts. It is the operator's, and never read from a commit."""

import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from mailctl.agent.home import Home
from mailctl.core.errors import Problem, Refused

FILE = "agent.yml"
CHECKS, SIGNATURE, REF = TRUST = ("checks", "signature", "ref")
TEXT = """\
# What this host takes from git: docs/deploying.md. make setup-host made it, you edit it, no commit does.
repository: {repository}
remote: {remote}
branch: {branch}
api: https://api.github.com
# Whose runs must have ended well, by their path in the repository.
workflows: [.github/workflows/main.yml]
# All of these must hold: checks (GitHub says that the workflows above are green; needs keys/github_token),
# signature (of somebody in keys/allowed_signers), ref (the branch below points at the commit).
# Empty: only with DEPLOY_METHOD=ssh, where GitHub's workflow has waited for the checks.
trust: [{trust}]
ref: checked
# Whether the timer also repairs what was changed by hand on this host. It is reported in any case.
heal: false
"""


@dataclass(frozen=True)
class Settings:
    """Each field is a line of agent.yml."""

    repository: str
    remote: str
    branch: str = "main"
    api: str = "https://api.github.com"
    workflows: tuple[str, ...] = (".github/workflows/main.yml",)
    trust: tuple[str, ...] = (CHECKS,)
    ref: str = "checked"
    heal: bool = False


def load(home: Home) -> Settings | None:
    """None where there is no agent.yml. Raises Refused with each line that cannot be meant."""
    import yaml

    path = home.root / FILE
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, ValueError) as error:
        wrong = f"does not parse: {' '.join(str(error).split())[:200]}"
        raise Refused(Problem(FILE, wrong, "fix it", value=str(path))) from None
    if not isinstance(found, dict):
        raise Refused(Problem(FILE, "is no list of settings", "make setup-host", value=str(path)))
    names = [one.name for one in fields(Settings)]
    problems = [_problem(str(n), f"one of {', '.join(names)}", n) for n in found if n not in names]
    given = {n: tuple(v) if isinstance(v, list) else v for n, v in found.items() if n in names}
    defaults: dict[str, Any] = {"repository": "", "remote": ""}
    settings = Settings(**(defaults | given))
    problems += [_problem(name, *said) for name, said in _wrong(settings).items()]
    if problems:
        raise Refused(*problems)
    return settings


def _wrong(one: Settings) -> dict[str, tuple[str, Any]]:
    """By field: what it should be, and what it is."""
    texts = [
        n
        for n, v in asdict(one).items()
        if n not in ("workflows", "trust", "heal") and not isinstance(v, str)
    ]
    wrong = {name: ("a text", getattr(one, name)) for name in texts}
    if texts:
        return wrong
    owned = re.fullmatch(r"[\w.-]+/[\w.-]+", one.repository)
    if not owned and (one.repository or CHECKS in one.trust):
        wrong["repository"] = ("owner/name, as in the address at GitHub", one.repository)
    if not one.remote or one.remote.startswith("-"):
        wrong["remote"] = (
            "an address that git clone takes, such as git@github.com:owner/name.git",
            one.remote,
        )
    for name in ("branch", "ref"):
        if not re.fullmatch(r"[A-Za-z0-9][\w./-]*", getattr(one, name)):
            wrong[name] = ("the name of a branch", getattr(one, name))
    if not re.fullmatch(r"https?://\S+", one.api):
        wrong["api"] = ("an address such as https://api.github.com", one.api)
    paths = isinstance(one.workflows, tuple) and all(isinstance(each, str) for each in one.workflows)
    if not paths or not (one.workflows or CHECKS not in one.trust):
        wrong["workflows"] = ("a list of paths such as .github/workflows/main.yml", one.workflows)
    if not isinstance(one.trust, tuple) or not set(one.trust) <= set(TRUST):
        wrong["trust"] = (f"a list of {', '.join(TRUST)}", one.trust)
    if not isinstance(one.heal, bool):
        wrong["heal"] = ("true or false", one.heal)
    return wrong


def _problem(name: str, wanted: str, value: Any) -> Problem:
    shown = list(value) if isinstance(value, tuple) else value
    return Problem(f"{FILE}: {name}", f"is not {wanted}", f"write {wanted}", value=str(shown))
