"""MAIL_DKR_006: no secret in ARG, ENV, LABEL, RUN or COPY."""

import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile, Instruction, assignments
from policies.model import Found
from policies.shared.secrets import complaint, given, is_holder, is_named, shape

#: Folders of secrets, which would stay in a layer whatever a later step removes.
FOLDERS = {"secrets", ".ssh", ".aws", ".gnupg", ".docker"}
#: `-pfoo` is a password to few programs and a switch to most that run while an image is built.
SHORT = re.compile(r"(?<=\s)-p\S+|--(?:disabled|no|empty)-password\b")


def check(subject: Dockerfile) -> Iterator[Found]:
    """Look at what is set, run and copied in every stage."""
    for instruction in subject.instructions:
        for name, what in _complaints(instruction):
            yield Found(instruction.place, what, "a file in /run/secrets", f"{subject.file}/{name}")


def _complaints(instruction: Instruction) -> Iterator[tuple[str, str]]:
    if instruction.name in ("ARG", "ENV", "LABEL"):
        for name, value in assignments(instruction.value):
            if instruction.name == "ARG" and not value and is_named(name):
                yield name, f"{name} is a secret, by its name"
            elif value is not None and (wrong := complaint(name, value)):
                yield name, f"{name} is {wrong}"
        return
    if instruction.name in ("COPY", "ADD"):
        text = instruction.resolved.partition(";")[0]
        words = [word for word in re.split(r"[\s\"',\[\]]+", text) if word and not word.startswith("--")]
        for source in words[:-1]:
            *folders, name = source.split("/")
            if is_holder(name) or name == "secrets" or ("--from=" not in text and FOLDERS & set(folders)):
                yield source, f"{source} is copied into the image"
    words = " ".join(re.split(r"[\[\]\",]+", instruction.value))
    if wrong := shape(instruction.value) or given(SHORT.sub("", words)):
        yield instruction.name, f"{instruction.name} has {wrong}"
