import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile, Instruction, Stage, assignments
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity
from policies.shared.shell import commands

#: What may run another command.
RUNNER = r"(?:(?:timeout|xargs|nohup|nice|gosu|su-exec|chroot|setpriv|runuser|time)\s(?:.*\s)?)?"
PIP = re.compile(
    rf"^{RUNNER}(?:(?:python[\d.]*|py)\s+(?:-(?!\w*m\b)\S+\s+)*-\w*m\s+pip\b|pip[\d.]*\b|uv\s+pip\b)(?P<rest>.*)$"
)
#: Installers that know no hashes, or only with a lock file that they may not change.
OTHERS = re.compile(
    r"^(?:pipx\s+(?:install|run)|uvx\s|uv\s+(?:tool|add|run)\b|poetry\s+add|pdm\s+add|easy_install\b|"
    r"python[\d.]*\s+\S*setup\.py\s+(?:install|develop)|(?:conda|mamba|micromamba)\s+install)"
)
LOCKED = re.compile(r"^uv\s+sync\b(?!.*\s--(?:frozen|locked)\b)")
VARIABLE = re.compile(r"^\$\{?\w+\}?\s+install\b")
UNSET = re.compile(r"\b(?:PIP|UV)_REQUIRE_HASHES=[\"']?(?:0|false|no|off)?[\"']?(?:\s|;|$)", re.IGNORECASE)
SETTING = ("PIP_REQUIRE_HASHES", "UV_REQUIRE_HASHES")
#: Wheels only: what is compiled runs its own setup while the image is built.
BINARY = re.compile(r"--(?:only-binary|no-build|no-binary)\b")
WHEELS = ("PIP_ONLY_BINARY", "UV_NO_BUILD")
AWAY = re.compile(r"(?:-r|-c|--requirements?|--constraints?)[=\s]*[\"']?\w+://")
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
            always = self._inherited(subject, stage)
            for instruction in stage.instructions:
                if instruction.name in ("ENV", "ARG"):
                    always = self._setting(instruction, always)
                elif instruction.name == "RUN":
                    hashed = always and not UNSET.search(instruction.value)
                    wheels = self._wheels(subject, instruction)
                    for what in filter(
                        None, (self._wrong(each, hashed, wheels) for each in commands(instruction.value))
                    ):
                        yield Found(
                            instruction.place, what, "--require-hashes -r requirements.txt", subject.file
                        )

    def _wrong(self, command: str, always: bool, wheels: bool) -> str:
        if OTHERS.match(command) or LOCKED.match(command) or VARIABLE.match(command):
            return f"`{' '.join(command.split()[:2])}` installs without hashes"
        matched = PIP.match(command)
        words = matched["rest"].split() if matched else []
        if not {"install", "download", "wheel"} & set(words):
            return ""
        if not (always or "--require-hashes" in [word.strip("\"'") for word in words]):
            return "pip installs without hashes"
        named = REQUIREMENTS.search(matched["rest"]) if matched else None
        if not named:
            return "pip installs what no requirements file names"
        if AWAY.search(matched["rest"]):
            return "pip installs what a file elsewhere names"
        return (
            "" if wheels or BINARY.search(matched["rest"]) else "pip compiles packages, and runs their code"
        )

    def _wheels(self, subject: Dockerfile, instruction: Instruction) -> bool:
        """Tell whether a variable asks for wheels only."""
        settings = [each.value for each in subject.instructions if each.name in ("ENV", "ARG")]
        return any(name in text for name in WHEELS for text in (instruction.value, *settings))

    def _inherited(self, subject: Dockerfile, stage: Stage) -> bool:
        """Tell whether a stage under this one asks for hashes."""
        earlier = subject.stages[: subject.stages.index(stage)]
        under = next((each for each in reversed(earlier) if each.alias.lower() == stage.image.lower()), None)
        if under is None:
            return False
        always = self._inherited(subject, under)
        for instruction in under.named("ENV"):
            always = self._setting(instruction, always)
        return always

    def _setting(self, instruction: Instruction, before: bool) -> bool:
        pairs = dict(assignments(instruction.value))
        values = [str(pairs[name]).lower() for name in SETTING if name in pairs]
        return any(value in ("1", "true", "yes", "on") for value in values) if values else before


check = MAIL_DKR_005()
