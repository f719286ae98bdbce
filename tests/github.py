"""GitHub's REST API as far as an agent needs it: refuses what GitHub refuses, each rule with its source.

Runs: https://docs.github.com/en/rest/actions/workflow-runs
Statuses: https://docs.github.com/en/rest/commits/statuses
Tokens: https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, dict[str, Any]]
RUNS = re.compile(r"/repos/([^/]+/[^/]+)/actions/runs")
STATUSES = re.compile(r"/repos/([^/]+/[^/]+)/statuses/([0-9a-f]{40})")
STATES = ("error", "failure", "pending", "success")


@dataclass
class Token:
    """A fine-grained token: its repositories, and its permissions by name."""

    permissions: dict[str, str]
    repositories: tuple[str, ...] = ("owner/mail",)
    expires: str = ""
    revoked: bool = False


@dataclass
class GitHub:
    """The state of one GitHub; `url` is its API while `serving`."""

    tokens: dict[str, Token] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    #: By commit: what was posted, in order.
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    commits: set[str] = field(default_factory=set)
    down: bool = False
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def run(self, commit: str, **values: Any) -> dict[str, Any]:
        """A run of the workflow Main for a push to main; `values` change it."""
        number = len(self.runs) + 1
        new = {
            "id": 1000 + number,
            "run_number": number,
            "head_sha": commit,
            "head_branch": "main",
            "event": "push",
            # The ref behind the path: https://docs.github.com/en/rest/actions/workflow-runs
            "path": ".github/workflows/main.yml",
            "status": "completed",
            "conclusion": "success",
            "head_repository": {"full_name": "owner/mail"},
            **values,
        }
        self.runs.append(new)
        return new

    def answer(self, method: str, path: str, secret: str, body: bytes) -> Answer:
        """What GitHub answers to one call."""
        token = self.tokens.get(secret)
        if token is None or token.revoked:
            # "Authenticating with invalid credentials will initially return a 401 Unauthorized response."
            return 401, {"message": "Bad credentials"}
        parts = urlsplit(path)
        runs, statuses = RUNS.fullmatch(parts.path), STATUSES.fullmatch(parts.path)
        found = runs or statuses
        if not found or found[1] not in token.repositories:
            # "To avoid confirming the existence of private repositories":
            # https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
            return 404, {"message": "Not Found"}
        needed = ("actions", "read") if runs else ("statuses", "write")
        # https://docs.github.com/en/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens
        if token.permissions.get(needed[0]) not in (needed[1], "write"):
            return 403, {"message": "Resource not accessible by personal access token"}
        if runs and method == "GET":
            return self._runs(parse_qs(parts.query))
        if statuses and method == "POST":
            return self._post(statuses[2], body)
        return 404, {"message": "Not Found"}

    def _runs(self, query: dict[str, list[str]]) -> Answer:
        """Newest first; 30 a page, at most 100."""
        asked = {name: values[-1] for name, values in query.items()}
        fields = {"head_sha": "head_sha", "event": "event", "branch": "head_branch"}
        found = [
            run
            for run in reversed(self.runs)
            if all(run[fields[name]] == value for name, value in asked.items() if name in fields)
        ]
        size = min(int(asked.get("per_page", "30")), 100)
        start = (int(asked.get("page", "1")) - 1) * size
        return 200, {"total_count": len(found), "workflow_runs": found[start : start + size]}

    def _post(self, commit: str, body: bytes) -> Answer:
        try:
            sent = json.loads(body)
        except ValueError:
            return 400, {"message": "Problems parsing JSON"}
        if commit not in self.commits:
            return 422, {"message": f"No commit found for SHA: {commit}"}
        if sent.get("state") not in STATES:
            return 422, {"message": "Validation Failed", "errors": [{"field": "state"}]}
        if len(sent.get("description") or "") > 140:
            # https://github.com/zalando/zappr/issues/378
            wrong = "description is too long (maximum is 140 characters)"
            return 422, {"message": "Validation Failed", "errors": [{"message": wrong}]}
        context = sent.setdefault("context", "default")
        known = self.statuses.setdefault(commit, [])
        if sum(one["context"] == context for one in known) >= 1000:
            return 422, {"message": "Validation Failed"}
        known.append(sent)
        return 201, {"id": len(known), **sent}


class Server:
    """Serves a GitHub on a port of this machine as a context."""

    def __init__(self, state: GitHub, address: str = "127.0.0.1") -> None:
        self.state = state
        state_ = state

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            do_POST = do_GET

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                secret = self.headers.get("Authorization", "").removeprefix("Bearer ")
                state_.asked.append(f"{self.command} {self.path}")
                code, document = (
                    (502, {}) if state_.down else state_.answer(self.command, self.path, secret, body)
                )
                text = json.dumps(document).encode()
                self.send_response(code)
                token = state_.tokens.get(secret)
                # https://github.blog/changelog/2021-07-26-expiration-options-for-personal-access-tokens/
                if code != 401 and token and token.expires:
                    self.send_header("GitHub-Authentication-Token-Expiration", token.expires)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_words: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self.port = self._server.server_address[1]
        state.url = f"http://{address}:{self.port}"

    def __enter__(self) -> GitHub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self.state

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
