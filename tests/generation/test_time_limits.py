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
]


def seconds(file: str, pattern: str, units: int) -> float:
    """The one value of a setting in a file."""
    [value] = re.findall(pattern, (PROJECT / file).read_text(), re.MULTILINE)
    return float(value) / units


def test_each_waits_longer_than_the_one_it_asks() -> None:
    limits = [seconds(*link) for link in CHAIN]
    assert limits == sorted(set(limits)), list(zip(CHAIN, limits, strict=True))
