"""Prune the generated repository by one table; cookiecutter and cruft run this after they wrote the files.

Add an option: add a row to PRUNE that names the paths only the other answers need.
Offline, deterministic and safe to run twice, since cruft runs it on every update: it only removes and moves.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

# (question, answer, what that answer leaves out)
PRUNE: tuple[tuple[str, object, tuple[str, ...]], ...] = (
    (
        "antivirus",
        False,
        (
            "config/clamav",
            "config/rspamd/local.d/antivirus.conf",
            "config/rspamd/rspamd.local.lua",
            "_docs/en/docs/runbooks/virus-scanner-down.md",
            "_docs/ja/docs/runbooks/virus-scanner-down.md",
        ),
    ),
    (
        "forward_by_relay",
        False,
        (
            "config/postfix/api_access",
            "config/postfix/sql/forward_senders.cf",
            "config/postfix/sql/forward_targets.cf",
            "config/rspamd/lua.local.d/forward_by_relay.lua",
        ),
    ),
    ("groupware", False, ("config/radicale", "config/roundcube/contacts.php", "platform/radicale")),
    ("scale", "single", ("config/dovecot-proxy", "config/dovecot-store", "config/postfix/sql/quota.cf")),
    ("scale", "single", ("nodes.yml", "_docs/en/docs/several-hosts.md", "_docs/ja/docs/several-hosts.md")),
    ("scale", "single", ("_docs/en/docs/scaling.md", "_docs/ja/docs/scaling.md")),
    (
        "scale",
        "single",
        (
            "config/haproxy",
            "config/mariadb/initdb/30-members.sql",
            "config/mariadb/initdb/40-ledger.sh",
            "config/mariadb/member",
            "config/rspamd/bin/beside",
            "config/rspamd/lua.local.d/dkim_share.lua",
            "config/rspamd/lua.local.d/valkey_tls.lua",
            "config/valkey/member",
        ),
    ),
    # What `make verify` asks of the services: of compose, or of a Swarm.
    ("scale", "single", ("tests/host/test_tasks.py",)),
    ("scale", "swarm", ("tests/host/test_services.py",)),
    ("scale", "swarm", ("config/mariadb/start.sh", "config/valkey/valkey.conf")),
    # Only Cloudflare refuses header fields that it does not know.
    *(("relay", relay, ("config/postfix/relay_header_checks",)) for relay in ("sendgrid", "ses", "smtp")),
    ("secrets", "files", ("secrets.age",)),
    # What follows once the checks of main have passed.
    ("deploy_method", "ssh", (".github/workflows/hasten.yml",)),
    ("deploy_method", "pull", (".github/workflows/deploy.yml",)),
)
# (question, answer, files, what that answer cuts out of them). GitHub's expressions look like Jinja's, so it
# reads no workflow.
CUT: tuple[tuple[str, object, str, str], ...] = (
    # With the comment above it.
    ("github_environments", False, ".github/workflows/*.yml", r"(?m)(?:^ +#.*\n)*^    environment: .*\n"),
    # The job that asks the host over SSH, which is the last one.
    ("deploy_method", "pull", ".github/workflows/monthly.yml", r"(?ms)^\n  host:\n.*\Z"),
)
# Written by tools that ran inside the template's checkout, never part of it.
LEFTOVERS = (
    "__pycache__",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
    ".venv",
    ".venv-*",
    "node_modules",
    "*.egg-info",
    ".coverage",
    ".mypy_cache",
)
# Documents live in one tree a language; the chosen one becomes the root of the repository.
DOCUMENTS = "_docs"

# What updates replace as a whole, and the file in it that says what the others were (sha256sum --check).
PLATFORM = "platform"
CHECKSUMS = "checksums"


def pruned(answers: Mapping[str, object]) -> Iterator[str]:
    """Yield the paths, relative to the generated repository, that these answers leave out."""
    for question, answer, paths in PRUNE:
        if answers[question] == answer:
            yield from paths


def remove(path: Path) -> None:
    """Remove a file or a folder; one that is already gone is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def settle_documents(root: Path, language: str) -> None:
    """Move the documents of one language to the root and drop the other languages."""
    chosen = root / DOCUMENTS / language
    for source in sorted(chosen.rglob("*")):
        if source.is_file():
            target = root / source.relative_to(chosen)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
    remove(root / DOCUMENTS)


def seal(platform: Path) -> None:
    """Write the checksum of every file of the platform, by name, in the form of sha256sum."""
    sums = platform / CHECKSUMS
    files = sorted(path.relative_to(platform).as_posix() for path in platform.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256((platform / name).read_bytes()).hexdigest()}  {name}\n"
        for name in files
        if name != CHECKSUMS
    ]
    sums.write_text("".join(lines), encoding="utf-8")


def settle(root: Path, answers: Mapping[str, object]) -> None:
    """Turn what cookiecutter wrote into `root` into the repository for these answers."""
    for pattern in LEFTOVERS:
        for path in sorted(root.rglob(pattern)):
            remove(path)
    for relative in pruned(answers):
        remove(root / relative)
    for question, answer, files, pattern in CUT:
        for path in sorted(root.glob(files)) if answers[question] == answer else ():
            path.write_text(re.sub(pattern, "", path.read_text(encoding="utf-8")), encoding="utf-8")
    settle_documents(root, str(answers["language"]))
    # git keeps no empty folder, so a clone of the template has none: neither may a working copy's offspring.
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()
    if (root / PLATFORM).is_dir():
        seal(root / PLATFORM)


if __name__ == "__main__":
    settle(Path.cwd(), json.loads(r"""{{ cookiecutter | tojson }}"""))
