"""Everything that a run depends on, so that a second run over the same need not be made: what is in the
repository, on the machine and on the command line. A run that could not do its job is never remembered.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from policies.gate.hidden import ignored_files
from policies.gate.run import Options, Result
from policies.shared import cache
from policies.shared.programs import PASSED_ON, program
from policies.shared.repository import Repository, is_git

PROGRAMS = ("git", "docker", "terraform", "tofu", "shellcheck", "hadolint", "zizmor")
GIT = (
    ("rev-parse", "HEAD", "--is-shallow-repository"),
    ("for-each-ref",),
    ("ls-files", "-z", "-v", "--stage"),
    ("ls-files", "-z", "--others", "--exclude-standard"),
)
#: Compose comes as a plugin of docker, and the services' checkers run in images.
DOCKER = (
    ("compose", "version"),
    ("image", "ls", "--no-trunc", "--digests", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}} {{.ID}}"),
)
#: Files that git ignores and that are larger are known by their size and dates, such as a database.
LARGE = 1 << 20


def remembered(root: Path, options: Options, compute: Callable[[], Result]) -> Result:
    """Return the result of a run: of the one before if nothing changed that could change it."""
    try:
        parts = [] if options.changed_since else list(_parts(root, options))
    except (OSError, ValueError):
        parts = []  # a repository that git does not read: the run says so
    if not parts:
        return compute()
    entry = cache.entry("run", parts)
    result = cache.load(entry)
    if result is None:
        result = compute()
        # What a checker missed may have been in the way of the others: a problem is judged again each time.
        if not result.report.problems and parts == list(_parts(root, options)):
            cache.save(entry, result)
            cache.tidy()
    return result


def _parts(root: Path, options: Options) -> Iterator[str | bytes]:
    repository = Repository(root)
    yield from (
        str(repository.root),
        repr(options),
        *(f"{each}={os.environ.get(each)}" for each in PASSED_ON),
    )
    for file in repository.files:
        yield from _content(repository.root, file)
    if is_git(repository.root):
        for words in GIT:
            yield _said("git", "-C", str(repository.root), *words)
        for file in ignored_files(repository.root):
            yield from _content(repository.root, file, large=LARGE)
    for words in DOCKER if program("docker") else ():
        yield from sorted(_said("docker", *words).splitlines())  # docker has no order of its own
    for path in _outside(repository):
        yield _stat(path)


def _outside(repository: Repository) -> Iterator[Path]:
    """Yield programs, and what terraform init has fetched."""
    yield from (Path(program(each) or each) for each in PROGRAMS)
    folders = {(repository.root / file).parent for file in repository.matching("*.tf")}
    for folder in sorted(folders):
        yield from sorted((folder / os.environ.get("TF_DATA_DIR", ".terraform")).rglob("*"))


def _content(root: Path, file: str, large: int = 0) -> Iterator[str | bytes]:
    path = root / file
    try:
        status = path.stat()
        yield f"{file} {status.st_mode} {os.readlink(path) if path.is_symlink() else ''}"
        yield _stat(path) if large and status.st_size > large else sha256(path.read_bytes()).digest()
    except OSError as error:
        yield f"{file} {error.errno}"


def _stat(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return f"{path} is not there"
    return f"{path} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _said(*command: str) -> bytes:
    """Return what a program says, and how it ends."""
    done = subprocess.run(command, capture_output=True, check=False)
    return b"%d %b" % (done.returncode, done.stdout)
