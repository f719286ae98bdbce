import json
import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile, Instruction, assignments
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity
from policies.shared import changes, environment, tables
from policies.shared.secrets import complaint

STARTS = {"ENTRYPOINT": "entrypoint", "CMD": "command"}
USER = re.compile(r"[1-9]\d*:[1-9]\d*")


def _words(text: str) -> str:
    """Return an ENTRYPOINT or CMD, in the shell's form or as a list, as one line."""
    try:
        words = json.loads(text) if text.startswith("[") else text.split()
    except ValueError:
        words = text.split()
    return " ".join(str(word) for word in words)


class MAIL_DKR_008(DockerfileRule):
    """An image decides what runs when Compose says nothing: `postfix -c /other start-fg` reads none of the
    reviewed files, and a variable of the image loads another library first.

    How our own images start is a table, policies/data/images.yml. What a build changes in settings is in no
    file.
    """

    name = "Own images start as policies/data/images.yml says, set only what is listed, and edit no settings"
    severity = Severity.CRITICAL
    fix = "Restore the instruction, or change policies/data/images.yml in the same pull request"
    bad = "FROM debian\nENV LD_PRELOAD=/opt/other.so\n"
    good = 'FROM debian\nENV TZ=UTC\nCMD ["app"]\n'

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Compare start, user and environment with the table; then look at what the build changes."""
        services = {service.name for service in subject.services} & set(tables.table("images"))
        for name in sorted(services):
            yield from self._start(subject, name)
            yield from self._edits(subject)
        for stage in subject.lineage():
            for instruction in stage.named("ENV"):
                yield from self._variables(subject, instruction, sorted(services))

    def _start(self, subject: Dockerfile, name: str) -> Iterator[Found]:
        row = tables.table("images")[name]
        for kind, key in STARTS.items():
            last = self._last(subject, kind)
            text = _words(last.resolved.strip()) if last else ""
            # Without a CMD nothing of ours starts; without its ENTRYPOINT it starts past it.
            missing = kind == "CMD" and last is None
            if subject.last is not None and text not in row[key] and not missing:
                place = last.place if last else subject.last.place
                should = f"{kind} {' or '.join(row[key])}" if row[key][0] else f"no {kind}"
                yield Found(place, f"{kind} is {text or 'not set'}", should, name)
        user = self._last(subject, "USER")
        # Root, names and missing groups are told by MAIL_DKR_003.
        if user and "user" in row and USER.fullmatch(user.resolved) and user.resolved != row["user"]:
            yield Found(user.place, f"USER is {user.resolved}", f"USER {row['user']}", name)

    def _last(self, subject: Dockerfile, kind: str) -> Instruction | None:
        return next((each for stage in subject.lineage() for each in reversed(stage.named(kind))), None)

    def _edits(self, subject: Dockerfile) -> Iterator[Found]:
        for instruction in subject.instructions:
            text = " ".join(instruction.resolved.split()) if instruction.name == "RUN" else ""
            if piece := changes.found(text):
                yield Found(
                    instruction.place, f"the build sets {piece}", "the setting in its file", subject.file
                )

    def _variables(
        self, subject: Dockerfile, instruction: Instruction, services: list[str]
    ) -> Iterator[Found]:
        for name, value in assignments(instruction.resolved):
            # A secret is told by MAIL_DKR_006.
            if complaint(name, value):
                continue
            for service in services:
                own = tables.table("images")[service].get("environment", {})
                if wrong := environment.wrong(service, name, value, [own]):
                    yield Found(instruction.place, *wrong, service)
            if not services and environment.never(name) and name not in environment.ORDINARY:
                what = f"{name} changes what its programs are"
                yield Found(instruction.place, what, "leave it out", subject.file)


check = MAIL_DKR_008()
