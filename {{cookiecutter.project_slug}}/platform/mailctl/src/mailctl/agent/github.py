"""What GitHub is asked and told. Sources: https://docs.github.com/en/rest/actions/workflow-runs,
https://docs.github.com/en/rest/commits/statuses."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mailctl.agent.home import Home
from mailctl.agent.settings import Settings
from mailctl.core.errors import Problem, Refused

if TYPE_CHECKING:
    import httpx

READ, WRITE = "github_token", "github_status_token"
CONTEXT, DESCRIPTION = "mail server", 140
SECONDS = 20.0
# https://github.blog/changelog/2021-07-26-expiration-options-for-personal-access-tokens/
EXPIRES = "github-authentication-token-expiration"
NEEDS = {READ: "Actions: read", WRITE: "Commit statuses: read and write"}


class Trouble(Refused):
    """GitHub could not be asked, which says nothing of the commit."""


class GitHub:
    """One repository at GitHub. What is learnt of each token, its end and what is wrong, is remembered."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self.home, self.settings = home, settings

    def runs(self, commit: str) -> list[dict[str, Any]]:
        """The runs for a push of the commit to the branch. Raises Trouble."""
        query = {"head_sha": commit, "event": "push", "branch": self.settings.branch, "per_page": "100"}
        answer = self._call(READ, "GET", "actions/runs", params=query)
        try:
            return list(answer.json()["workflow_runs"])
        except (ValueError, KeyError, TypeError):
            raise _trouble("GitHub", "answers something else than a list of runs", "try later") from None

    def status(self, commit: str, state: str, text: str) -> None:
        """Put a status beside the commit: pending, success, failure or error. Raises Trouble."""
        short = text if len(text) <= DESCRIPTION else f"{text[: DESCRIPTION - 1]}…"
        body = {"state": state, "description": short, "context": CONTEXT}
        self._call(WRITE, "POST", f"statuses/{commit}", json=body)

    def _call(self, token: str, method: str, path: str, **more: Any) -> "httpx.Response":
        import httpx

        file, needs = str(self.home.key(token)), NEEDS[token]
        secret = self.home.secret(token)
        if not secret:
            raise _trouble(file, "is missing", f"put a fine-grained token with {needs} there")
        headers = {"Authorization": f"Bearer {secret}", "Accept": "application/vnd.github+json"}
        url = f"{self.settings.api.rstrip('/')}/repos/{self.settings.repository}/{path}"
        try:
            answer = httpx.request(method, url, headers=headers, timeout=SECONDS, **more)
        except httpx.HTTPError as error:
            raise _trouble(
                "GitHub", f"cannot be reached: {error or type(error).__name__}", "try later"
            ) from None
        limited = answer.headers.get("x-ratelimit-remaining") == "0" or answer.status_code == 429
        wrong = ""
        if answer.status_code == 401:
            wrong = "GitHub does not accept it: it expired or was revoked"
        elif answer.status_code in (403, 404) and not limited:
            wrong = f"does not reach {self.settings.repository} (HTTP {answer.status_code})"
        learnt = {"ends": _expiry(answer.headers.get(EXPIRES, "")), "wrong": wrong}
        self.home.remember(tokens={**self.home.state().get("tokens", {}), token: learnt})
        if wrong:
            raise _trouble(
                file, wrong, f"put a fine-grained token for it with {needs} there; or fix agent.yml"
            )
        if not answer.is_success:
            raise _trouble("GitHub", f"answers with HTTP {answer.status_code}", "it is asked again by itself")
        return answer


def _expiry(text: str) -> float | None:
    """The end of a token in epoch seconds: `2026-02-01 12:00:00 UTC`, or with an offset such as +0200."""
    try:
        return datetime.strptime(re.sub(r"UTC$", "+0000", text), "%Y-%m-%d %H:%M:%S %z").timestamp()
    except ValueError:
        return None


def _trouble(field: str, wrong: str, fix: str) -> Trouble:
    return Trouble(Problem(field, wrong, fix))
