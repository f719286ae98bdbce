"""MAIL_DKR_005: pip with hashes."""

import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile, Instruction, assignments
from policies.model import Found
from policies.shared.shell import commands

PIP = re.compile(
    r"^(?:(?:python[\d.]*|py)\s+(?:-\S+\s+)*-m\s+pip\b|pip[\d.]*\b|uv\s+pip\b)(?P<rest>.*\b(?:install|download|wheel)\b.*)$"
)
#: Installers that know no hashes, or only with a lock file that they may not change.
OTHERS = re.compile(
    r"^(?:pipx\s+(?:install|run)|uvx\s|uv\s+(?:tool|add|run)\b|uv\s+sync\b(?!.*\s--(?:frozen|locked)\b)|poetry\s+add|pdm\s+add"
    r"|easy_install\b|python[\d.]*\s+\S*setup\.py\s+(?:install|develop)|(?:conda|mamba|micromamba)\s+install)"
)
SETTING = ("PIP_REQUIRE_HASHES", "UV_REQUIRE_HASHES")
#: Wheels only: what is compiled runs its own setup while the image is built.
BINARY = re.compile(r"--(?:only-binary|no-build)\b|PIP_ONLY_BINARY|UV_NO_BUILD")
REQUIREMENTS = re.compile(r"(?:^|\s)(?:-r|--requirements?)(?:[=\s]|(?=\S))(?![\"']?\w+://)")


def check(subject: Dockerfile) -> Iterator[Found]:
    """Look at every pip of every stage."""
    settings = [each for each in subject.instructions if each.name in ("ENV", "ARG")]
    wheels = any(BINARY.search(each.value) for each in settings)
    for stage in subject.stages:
        hashed = False
        for instruction in stage.instructions:
            if instruction.name in ("ENV", "ARG"):
                hashed = _setting(instruction, hashed)
            for command in commands(instruction.value) if instruction.name == "RUN" else ():
                if what := _wrong(command, hashed, wheels or bool(BINARY.search(instruction.value))):
                    entity = f"{subject.file}/{' '.join(command.split()[:3])}"
                    yield Found(instruction.place, what, "--require-hashes -r requirements.txt", entity)


def _wrong(command: str, hashed: bool, wheels: bool) -> str:
    if OTHERS.match(command):
        return f"`{' '.join(command.split()[:2])}` installs without hashes"
    matched = PIP.match(command)
    if not matched:
        return ""
    if not (hashed or "--require-hashes" in matched["rest"]):
        return "pip installs without hashes"
    if not REQUIREMENTS.search(matched["rest"]):
        return "pip installs what no requirements file of this repository names"
    return "" if wheels else "pip compiles packages, and runs their code"


def _setting(instruction: Instruction, before: bool) -> bool:
    pairs = dict(assignments(instruction.value))
    values = [str(pairs[name]).lower() for name in SETTING if name in pairs]
    return any(value in ("1", "true", "yes", "on") for value in values) if values else before
