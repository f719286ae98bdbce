import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity
from policies.shared.shell import commands

#: Programs that fetch or compile what an image is made of.
INSTALLERS = re.compile(
    r"^(?:(?:python[\d.]*|py)\s+(?:-\w+\s+)*-m\s+pip\b|pip[\d.]*\s|uv\s+(?:pip|sync|tool)|pipx\s|poetry\s|pdm\s|conda\s|"
    r"npm\s+(?:ci|i|install|run)\b|yarn\b|pnpm\s|make\b|cmake\b|meson\b|ninja\b|gcc\b|g\+\+|cc\s|clang\b|cargo\s|go\s+(?:build|install)|"
    r"(?:\./)?configure\b|mvn\s|gradle\s|composer\s|gem\s+install|cpanm?\s)"
)
COMPILERS = re.compile(
    r"^(?:apt-get|apt|apk|dnf|microdnf|yum)\s.*(?:install|add)\s.*(?<![\w-])"
    r"(?P<name>build-essential|build-base|gcc|g\+\+|make|cmake|cargo|golang(?:-go)?|git|python3-pip|py3-pip|[\w.+-]+-dev(?:el)?)(?![\w-])"
)


class MAIL_DKR_002(DockerfileRule):
    """What builds an image must not be inside it: an installer or a compiler is a present to whoever breaks
    in.

    In a single stage it stays in the image together with its caches, and the image is several times as large.
    A stage of its own does the work, and the last stage copies the result.
    """

    name = "Multi-stage: install and compile in a stage of its own, and COPY --from=build what came out"
    severity = Severity.MEDIUM
    fix = (
        "Move the step into a stage of its own (FROM … AS build) and copy the result: COPY --from=build "
        "/opt/venv /opt/venv"
    )
    bad = "FROM python:3.13-slim\nRUN pip install --require-hashes -r requirements.txt\n"
    good = (
        "FROM python:3.13-slim AS build\nRUN python -m venv /opt/venv\n"
        "RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r requirements.txt\n"
        "FROM python:3.13-slim\nCOPY --from=build /opt/venv /opt/venv\n"
    )

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Look at what the last stage, and every stage under it, runs."""
        for stage in subject.lineage():
            for instruction in stage.named("RUN"):
                for command in commands(instruction.value):
                    if INSTALLERS.match(command):
                        what = f"`{' '.join(command.split()[:3])}` runs in the stage that becomes the image"
                    elif matched := COMPILERS.match(command):
                        what = f"{matched['name']} is installed in the stage that becomes the image"
                    else:
                        continue
                    yield Found(instruction.place, what, "a stage of its own", stage.alias or stage.image)


check = MAIL_DKR_002()
