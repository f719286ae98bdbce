"""The scripts that workflows call: each is run as it is, with a stand-in for what it talks to."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}/platform/scripts"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "a-token-that-asks-for-a-look-only"  # noqa: S105
#: Notes each call; knows a branch `checked` if it is told how the commit stands to it.
GH = """\
#!/bin/sh
echo "$*" >>"$GH_LOG"
case $* in
  *branches/*) test -n "$STANDS" ;;
  *compare/*) echo "$STANDS" ;;
esac
"""


def run(name: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = environment.pop("PATH", os.environ["PATH"])
    given = {"PATH": path, **environment}
    command = [str(SCRIPTS / name), *words]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=120, check=False)


class Api(BaseHTTPRequestHandler):
    """Answers with what the test put into `answers`, in order; the last one stays."""

    answers: list[int]
    asked: list[tuple[str, str]]

    def do_POST(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[type[Api]]:
    handler = type("Handler", (Api,), {"answers": [202], "asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        handler.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield handler
        server.shutdown()


def test_the_host_is_told_to_look_with_the_token_for_that(api):
    done = run("hasten.sh", HASTEN_URL=api.url, HASTEN_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert api.asked == [("/v1/deploy", f"Bearer {TOKEN}")]


def test_a_host_that_is_busy_or_was_asked_just_now_is_asked_again(api):
    api.answers[:] = [503, 429, 202]
    assert run("hasten.sh", HASTEN_URL=api.url, HASTEN_TOKEN=TOKEN).returncode == 0
    assert len(api.asked) == 3


@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_token_or_a_host_that_is_not_to_be_hastened_is_red(api, status):
    api.answers[:] = [status]
    done = run("hasten.sh", HASTEN_URL=api.url, HASTEN_TOKEN=TOKEN)
    assert done.returncode != 0 and str(status) in done.stderr
    assert len(api.asked) == 1 and TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("stands", "call"),
    [
        ("", f"--method POST repos/{{owner}}/{{repo}}/git/refs -f ref=refs/heads/checked -f sha={COMMIT}"),
        (
            "ahead",
            f"--method PATCH repos/{{owner}}/{{repo}}/git/refs/heads/checked -f sha={COMMIT} -F force=false",
        ),
        ("behind", ""),
        ("identical", ""),
    ],
)
def test_a_branch_is_made_or_moved_forward_and_never_back(tmp_path, stands, call):
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    path, log = f"{tmp_path}:{os.environ['PATH']}", tmp_path / "log"
    done = run("move-branch.sh", "checked", COMMIT, PATH=path, GH_LOG=str(log), STANDS=stands)
    assert done.returncode == 0, done.stderr
    changes = [line for line in log.read_text().splitlines() if "--method" in line]
    assert changes == ([f"api --silent {call}"] if call else [])


def test_a_name_of_a_commit_that_is_not_here_is_refused_before_anybody_logs_in(tmp_path):
    done = run("over-ssh.sh", "deploy", "no-such-branch", DEPLOY_HOST="root@192.0.2.1", HOME=str(tmp_path))
    assert done.returncode == 2 and "REF=no-such-branch is no commit here" in done.stderr
