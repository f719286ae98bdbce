"""Who waits for whom: each time limit on the path of a mail is longer than the one that it waits for."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
# From the innermost to the outermost: file, setting, units in a second.
CHAIN = [
    ("config/clamav/clamd.conf", r"^MaxScanTime (\d+)", 1000),
    ("config/rspamd/local.d/antivirus.conf", r"^  timeout = ([\d.]+);", 1),
    ("config/rspamd/local.d/options.inc", r"^task_timeout = (\d+)s;", 1),
    ("config/rspamd/local.d/worker-proxy.inc", r"^timeout = (\d+)s;", 1),
    ("config/postfix/main.cf", r"^milter_content_timeout = (\d+)s", 1),
    ("platform/mailserver-api/src/mailserver_api/settings.py", r"^    submit_seconds: float = ([\d.]+)$", 1),
]
# Who waits for the verdict on a mail that just came: the API tells its caller to try again, the Worker gives
# up, and Cloudflare ends the Worker, after about 25 s.
CALLERS = [
    ("docker-compose.yml", r"^      ANSWER_SECONDS: \$\{API_ANSWER_SECONDS:-(\d+)\}$", 1),
    ("platform/email-worker/worker.js", r"^const TIMEOUT_SECONDS = (\d+);$", 1),
]
CLOUDFLARE = 25


def seconds(file: str, pattern: str, units: int) -> float:
    """The one value of a setting in a file."""
    [value] = re.findall(pattern, (PROJECT / file).read_text(), re.MULTILINE)
    return float(value) / units


def test_a_caller_is_answered_before_it_gives_up() -> None:
    limits = [*(seconds(*link) for link in CALLERS), CLOUDFLARE]
    assert limits == sorted(set(limits)), limits


def test_what_the_worker_does_after_its_verdict_is_within_its_time_too() -> None:
    """With a spool: the mail is deleted from it."""
    worker = "platform/email-worker/worker.js"
    last = seconds(worker, r"^const LAST_SECONDS = (\d+);$", 1)
    assert seconds(worker, r"^const TIMEOUT_SECONDS = (\d+);$", 1) + last < CLOUDFLARE


def test_what_the_compose_file_sets_is_the_default_of_the_api() -> None:
    """Whoever starts it without the file gets the same times."""
    for name in ("receive", "answer"):
        setting = rf"^      {name.upper()}_SECONDS: \$\{{API_{name.upper()}_SECONDS:-(\d+)\}}$"
        default = rf"^    {name}_seconds: float = ([\d.]+)$"
        settings = "platform/mailserver-api/src/mailserver_api/settings.py"
        assert seconds("docker-compose.yml", setting, 1) == seconds(settings, default, 1)


def test_each_waits_longer_than_the_one_it_asks() -> None:
    limits = [seconds(*link) for link in CHAIN]
    assert limits == sorted(set(limits)), list(zip(CHAIN, limits, strict=True))
