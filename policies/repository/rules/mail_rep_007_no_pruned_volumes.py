import re
from collections.abc import Iterator

from policies.model import Found, Place, Severity
from policies.repository.rule import RepositoryRule
from policies.shared.repository import Repository
from policies.shared.scripts import script_files

#: What deletes volumes: in one line, whatever stands between the words.
ENGINE = r"\b(?:docker|podman|nerdctl)(?:[-\s]compose)?\b"
PRUNES = (
    (
        re.compile(rf"{ENGINE}[^;&|]*?\bsystem\s+prune\b[^;&|]*?(?:--volumes\b|\$)"),
        "system prune with --volumes",
    ),
    (re.compile(rf"{ENGINE}[^;&|]*?\bvolume\s+prune\b"), "volume prune"),
    (
        re.compile(rf"{ENGINE}[^;&|]*?\bvolume\s+(?:rm|remove)\b[^;&|]*?(?:\$\(|`|\$\{{?\w*VOLUMES)"),
        "volume rm of whatever there is",
    ),
    (re.compile(r"\bvolume\s+ls\b.*\|\s*xargs\b.*\bvolume\s+rm\b"), "volume rm of whatever there is"),
    (
        re.compile(rf"{ENGINE}[^;&|]*?\bdown\s(?:[^;&|]*?\s)?(?:--volumes|-v)(?![\w-])"),
        "compose down with --volumes",
    ),
)
#: No command is longer; variables that hold each other twice would grow without end.
LONGEST = 1000
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
QUOTED = re.compile(r"[\"',\[\]]+")
ASSIGNED = re.compile(
    r"^\s*(?:export\s+|local\s+|readonly\s+)?(?P<name>\w+)=(?P<value>\"[^\"]*\"|'[^']*'|\S+)\s*$"
)
FENCE = re.compile(r"^\s*(?:```|~~~)")
#: Not commands: the gate's own texts, tests of such commands, and what git or pip wrote.
APART = ("policies/*", "schemas/*", "*/tests/*", "tests/*", ".github/*", "*requirements*.txt", "*.json")


def _with(values: dict[str, str], text: str) -> str:
    """Return a text with the values of its variables."""
    return VARIABLE.sub(lambda each: values.get(each[1] or each[2], each[0]), text)


class MAIL_REP_007(RepositoryRule):
    """`docker system prune --volumes` deletes every volume that no running container holds: queue, DKIM keys,
    mail.

    A cron with it has emptied a mail server before: the stack was down for a minute, and that was the minute.
    Old images are removed by `docker image prune`, which touches no data. People copy what documents show;
    scripts, timers and workflows are looked at by MAIL_CFG_019.
    """

    name = (
        "No command deletes volumes unseen: no docker system prune --volumes, volume prune or down --volumes"
    )
    severity = Severity.CRITICAL
    fix = (
        "Use docker image prune and docker builder prune; delete one volume by its name, by hand, after "
        "a backup"
    )
    bad = "```sh\ndocker system prune -af --volumes\n```\n"
    good = "```sh\ndocker image prune -f\n```\n"

    def check(self, subject: Repository) -> Iterator[Found]:
        """Look at every file that holds no scripts; of Markdown only at its blocks: sentences may warn of
        it.
        """
        apart = {*subject.matching(*APART), *script_files(subject)}
        for file in subject.files:
            if file in apart:
                continue
            for number, line in self._commands(file, subject.text(file)):
                for pattern, what in PRUNES:
                    if pattern.search(line):
                        yield Found(Place(file, number), f"it runs {what}", "docker image prune", what)
                        break

    def _commands(self, file: str, text: str) -> Iterator[tuple[int, str]]:
        """Yield line number and text of what may be commands: continued lines joined, variables put in."""
        prose, fenced = file.endswith(".md"), False
        values: dict[str, str] = {}
        first, open_line = 0, ""
        for number, line in enumerate(text.splitlines(), 1):
            if prose and FENCE.match(line):
                fenced = not fenced
                continue
            if (prose and not fenced) or line.lstrip().startswith(("#", "//")):
                continue
            first = first if open_line else number
            open_line += " " + line.strip()
            if line.rstrip().endswith("\\"):
                open_line = open_line[:-1]
                continue
            if matched := ASSIGNED.match(open_line):
                values[matched["name"]] = _with(values, matched["value"].strip("\"'"))[:LONGEST]
            yield first, " ".join(QUOTED.sub(" ", _with(values, open_line)).split())
            open_line = ""


check = MAIL_REP_007()
