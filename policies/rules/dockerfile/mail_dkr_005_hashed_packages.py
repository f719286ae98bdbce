import re
from collections.abc import Iterator

from policies.families import DockerfileRule
from policies.model import Found, Severity
from policies.sources.dockerfiles import Dockerfile, Stage, assignments
from policies.sources.shell import commands

PIP = re.compile(
    r"^(?:(?:python[\d.]*|py)\s+(?:-(?!m\b)\S+\s+)*-m\s+pip\b|pip[\d.]*\b|uv\s+pip\b)(?P<rest>.*)$"
)
SETTING = ("PIP_REQUIRE_HASHES", "UV_REQUIRE_HASHES")
REQUIREMENTS = re.compile(r"(?:^|\s)(?:-r|--requirement|--requirements)(?:[=\s]|(?=\S))")


class MAIL_DKR_005(DockerfileRule):
    """A version is a name; only a hash says which bytes were reviewed.

    Without hashes a stolen account at the package index, or a proxy in between, puts its own code into an
    image that reads everybody's mail, and the build stays green.
    """

    name = "pip with hashes: write pip install --require-hashes --only-binary :all: -r requirements.txt"
    severity = Severity.HIGH
    fix = "Pin everything in requirements.txt with hashes (make lock) and install it with --require-hashes"
    bad = "FROM python\nRUN pip install flask==3.1.0\n"
    good = "FROM python\nRUN pip install --require-hashes --only-binary :all: -r requirements.txt\n"

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Look at every pip of every stage."""
        for stage in subject.stages:
            always = self._set(stage)
            for instruction in stage.named("RUN"):
                for command in commands(instruction.value):
                    matched = PIP.match(command)
                    words = matched["rest"].split() if matched else []
                    if "install" not in words and "download" not in words and "wheel" not in words:
                        continue
                    if not (always or "--require-hashes" in words):
                        yield Found(
                            instruction.place, "pip installs without hashes", "--require-hashes", subject.file
                        )
                    elif not REQUIREMENTS.search(matched["rest"]):
                        what = "pip installs what no requirements file names"
                        yield Found(instruction.place, what, "-r requirements.txt", subject.file)

    def _set(self, stage: Stage) -> bool:
        pairs = dict(pair for each in stage.named("ENV", "ARG") for pair in assignments(each.value))
        return any(str(pairs.get(name, "")).lower() in ("1", "true", "yes", "on") for name in SETTING)


check = MAIL_DKR_005()
