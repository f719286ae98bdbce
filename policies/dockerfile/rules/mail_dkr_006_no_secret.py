import re
from collections.abc import Iterator
from fnmatch import fnmatch

from policies.dockerfile.reader import Dockerfile, Instruction, assignments
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity
from policies.shared import leaks
from policies.shared.secrets import complaint, given, is_named, shape

#: Files that hold secrets and would stay in a layer, whatever a later step removes.
HOLDERS = (
    ".env",
    ".env.*",
    "*.key",
    "*.pem",
    "*.p12",
    "id_rsa",
    "id_ed25519",
    ".netrc",
    ".pypirc",
    ".npmrc",
    "secrets",
)
FOLDERS = {"secrets", ".ssh", ".aws", ".gnupg", ".docker"}
EXAMPLES = (".env.example", ".env.sample", ".env.template")
#: `-pfoo` is a password to few programs and a switch to most that run while an image is built.
SHORT = re.compile(r"(?<=\s)-p\S+|--(?:disabled|no|empty)-password\b")


class MAIL_DKR_006(DockerfileRule):
    """Everything an image is built with stays in it: `docker history` shows ARG and ENV, and layers keep
    deleted files.

    Whoever can pull the image, or read the build's cache, has the secret. Secrets are files that Compose
    mounts when the service starts.
    """

    name = "No secret in ARG, ENV, LABEL, RUN or COPY: services read theirs from /run/secrets"
    severity = Severity.CRITICAL
    fix = (
        "Take it out, let the service read /run/secrets/NAME when it starts, and make a new secret: the "
        "old one is known"
    )
    bad = "FROM debian\nARG DB_PASSWORD\nENV API_TOKEN=${DB_PASSWORD}\n"
    good = "FROM debian\nENV DB_PASSWORD_FILE=/run/secrets/db_password\n"

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Look at what is set, run and copied in every stage."""
        for instruction in subject.instructions:
            for what in self._complaints(instruction):
                yield Found(instruction.place, what, "a file in /run/secrets", subject.file)

    def _complaints(self, instruction: Instruction) -> Iterator[str]:
        if instruction.name in ("ARG", "ENV", "LABEL"):
            for name, value in assignments(instruction.value):
                if instruction.name == "ARG" and not value and is_named(name):
                    yield f"{name} is a secret, by its name"
                elif value is not None and (wrong := complaint(name, value)):
                    yield f"{name} is {wrong}"
        elif instruction.name in ("COPY", "ADD"):
            words = [
                word for word in re.split(r"[\s\"',\[\]]+", instruction.resolved.partition(";")[0]) if word
            ]
            sources = [word for word in words if not word.startswith("--") and "<<" not in word][:-1]
            for source in sources:
                names = [name for name in source.split("/") if name not in EXAMPLES]
                folders = "" if "--from=" in instruction.value else names[:-1]
                held = any(fnmatch(name, holder) for name in names[-1:] for holder in HOLDERS)
                if held or FOLDERS & set(folders):
                    yield f"{source} is copied into the image"
            if wrong := shape(instruction.value) or self._written(instruction.value.partition(";")[2]):
                yield f"{instruction.name} writes {wrong}"
        elif wrong := self._said(instruction.value):
            yield f"{instruction.name} has {wrong}"

    def _said(self, value: str) -> str:
        """Say which secret a command line holds, in the shell's form or as a list."""
        if value.lstrip().startswith("["):
            value = " ".join(re.split(r"[\[\]\",]+", value))
        return shape(value) or given(SHORT.sub("", value)) or self._written(value)

    def _written(self, text: str) -> str:
        """Say which secret a text writes into a file of the image."""
        return next((what for line in text.split(";") for _, what in leaks.in_text("image.conf", line)), "")


check = MAIL_DKR_006()
