"""The versions of mailctl: each commit's own, with what it requires. Half of one is never used."""

import io
import re
import shutil
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import mailctl
from mailctl.agent.home import Home, git
from mailctl.core.errors import Problem, Refused

# What mailctl reads of its own commit lies where it does in the repository.
SOURCE, SCHEMAS = "platform/mailctl", "platform/schemas"
WHOLE, KEPT = "whole", 5
PIP_SECONDS = 1800


def install(home: Home, commit: str) -> Path:
    """The version of a commit, made where it is missing. Raises Refused: it does not install."""
    trees = {path: _tree(home, commit, path) for path in (SOURCE, SCHEMAS)}
    if not trees[SOURCE]:
        wrong = f"this commit has no {SOURCE}"
        raise Refused(Problem("mailctl", wrong, "make rollback TO=… goes back to a commit that ran here"))
    environment = _environment(home, git(home.repo, "show", f"{commit}:{SOURCE}/requirements.txt").stdout)
    place = home.root / "versions" / name_of(trees)
    if not place.exists():
        new = place.with_name(f".{place.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        (new / "bin").mkdir(parents=True, mode=0o700)
        paths = [f"{SOURCE}/src", *([SCHEMAS] if trees[SCHEMAS] else [])]
        packed = git(home.repo, "archive", "--format=tar", commit, *paths).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(new, filter="data")
        (new / "src").symlink_to(f"{SOURCE}/src")
        compiled = (str(environment / "bin/python"), "-m", "compileall", "-q", str(new / "src"))
        subprocess.run(compiled, capture_output=True, check=False)
        shutil.copyfile(Path(__file__).with_name("launcher.sh"), new / "bin" / "mailctl")
        (new / "bin" / "mailctl").chmod(0o700)
        new.rename(place)
    home.point(f"versions/{place.name}/env", environment)
    place.touch()
    return place


def name_of(trees: dict[str, str]) -> str:
    """What the version is called that has these folders of a commit."""
    return sha256(" ".join(trees.values()).encode()).hexdigest()[:12]


def _tree(home: Home, commit: str, path: str) -> str:
    """What git calls a folder of a commit; empty when it has none."""
    return git(home.repo, "rev-parse", "--verify", "--quiet", f"{commit}:{path}").stdout.decode().strip()


def _environment(home: Home, requirements: bytes) -> Path:
    """A virtual environment for these requirements and this Python; its mark is written last."""
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    name = sha256(requirements + f"{python} {sys.version}".encode()).hexdigest()[:12]
    place = home.root / "envs" / name
    if (place / WHOLE).exists():
        return place
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    _call("environment", python, "-m", "venv", place)
    listed = place / "requirements.txt"
    listed.write_bytes(requirements)
    pip = (
        place / "bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    )
    _call("dependency", *pip, "--require-hashes", "--requirement", listed)
    (place / WHOLE).touch()
    return place


def _call(what: str, *words: str | Path) -> None:
    """Raises Refused with what failed, in one sentence."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)
        code, said = done.returncode, done.stderr + done.stdout
    except subprocess.TimeoutExpired:
        code, said = -1, "ERROR: it takes too long"
    if code:
        found = (
            re.findall(r"^ERROR: (.+)$", said, re.MULTILINE)
            or said.strip().splitlines()
            or [f"exit code {code}"]
        )
        name = re.search(r"(?:found for|requirement) ([\w.\[\]-]+(?:==[\w.]+)?)", " ".join(found))
        wrong = f"does not install: {found[-1][:200]}"
        fix = f"fix {SOURCE}/requirements.txt in a new commit"
        raise Refused(Problem(f"{what} {name[1]}" if name else what, wrong, fix), details=said[-2000:])


def own(home: Home) -> Path | None:
    """The installed version that runs this very code; None when it is the repository's."""
    place, versions = Path(mailctl.__file__).resolve(), (home.root / "versions").resolve()
    return versions / place.relative_to(versions).parts[0] if place.is_relative_to(versions) else None


def last_good(home: Home) -> list[str]:
    """What calls the version that cleans up: this one, or if this is the repository's, the installed one."""
    place = own(home) or home.version("current")
    return [str(place / "bin" / "mailctl")] if place else [sys.executable, "-m", "mailctl"]


def promote(home: Home, version: Path) -> None:
    """It carried a deployment to a good end: it is `current` now, and who supervised it `previous`."""
    current = home.version("current")
    if current == version.resolve():
        return
    before = own(home) or current
    if before and before != version.resolve():
        home.point("previous", before)
    home.point("current", version)
    _prune(home)


def _prune(home: Home) -> None:
    """Remove all but the newest versions, and the environments that none needs."""
    held = {home.version("current"), home.version("previous")}
    found = sorted((home.root / "versions").iterdir(), key=lambda path: path.stat().st_mtime)
    for place in found[:-KEPT]:
        if place.resolve() not in held:
            shutil.rmtree(place)
    used = {(place / "env").resolve() for place in (home.root / "versions").iterdir()}
    for place in (home.root / "envs").iterdir():
        if place.resolve() not in used:
            shutil.rmtree(place)
