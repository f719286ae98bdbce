"""Secrets that a script prints, sends or leaves for others, though they are in its environment only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from policies.sources.pipelines import Pipeline, pipelines, target

#: Programs whose output is what they are given.
PRINTS = re.compile(
    r"^(?:\S*/)?(?:echo|printf|cat|tee|base64|base32|xxd|od|hexdump|rev|tr|fold|sed|logger)\b"
)
#: Programs that take a secret from a pipe or a file of their own and print nothing of it.
KEEPS = re.compile(
    r"^(?:\S*/)?(?:docker|podman|gh|ssh-add|install|openssl|gpg|age|aws|sops|kubectl|helm|npm|pip|make|"
    r"mailctl|wrangler|cosign|skopeo|crane)\b|^read\s"
)
#: Files that are the log, or that later steps and everybody who reads the run can see.
PUBLIC = re.compile(r"GITHUB_(?:OUTPUT|ENV|STEP_SUMMARY|STATE|PATH)|^/dev/(?:stdout|stderr|tty|fd/)|^&")
#: set -x, set -ex, set -e -x, set -o xtrace, bash -x: every command is printed with its values.
TRACES = re.compile(
    r"\bset\s+(?:[-+]\w+\s+)*-(?:[a-z]*x|o\s+xtrace)|\b(?:ba|da|z|k)?sh\b(?:\s+-\S+)*\s+-[a-z]*x[a-z]*\b|"
    r"\b(?:ba|z|k)?sh\b(?:\s+-\S+)*\s+-o\s+xtrace"
)
#: Programs that print the whole environment, or one variable of it.
DUMPS = re.compile(
    r"^(?:\S*/)?(?:env|printenv|set|(?:export|declare|typeset)(?:\s+-[a-zA-Z]*[px][a-zA-Z]*)?)\s*$"
)
ONE = re.compile(r"^(?:\S*/)?(?:printenv|declare\s+-p|typeset\s+-p|export\s+-p)\s+(?P<names>.*)$")
PROCESS = re.compile(r"/proc/\S+/environ\b")
#: Code in another language that prints what it finds in the environment.
CODE = re.compile(
    r"(?:print|console\.\w+|puts|write|say|core\.(?:info|notice|warning|setOutput))\b.*"
    r"(?:environ|getenv|process\.env|ENVIRON\b|ENV\b)",
    re.DOTALL,
)
#: Where curl and wget put what they send, other than a header.
SENDS = re.compile(
    r"(?:\s(?:-d|-F|-T|--data\S*|--form\S*|--json|--post-data|--body-data|--upload-file)[\s=]?|https?://)\S*"
)
CLIENT = re.compile(r"^(?:\S*/)?(?:curl|wget|nc|ncat|socat)\b")
ASSIGNED = re.compile(
    r"^(?:export\s+|local\s+|readonly\s+|declare\s+(?:-\w+\s+)?)?(?P<name>\w+)=(?P<value>.*)$", re.DOTALL
)
MASKED = "::add-mask::"


def _uses(text: str, name: str) -> bool:
    return bool(re.search(rf"\$(?:{re.escape(name)}\b|\{{[!#]?{re.escape(name)}\b)", text))


def _copies(script: str, names: Iterable[str]) -> set[str]:
    """Return the names of variables that hold a secret, with those that a script gives its value to."""
    found = set(names)
    for line in re.split(r"[\n;]|&&", script):
        matched = ASSIGNED.match(line.strip())
        if matched and any(_uses(matched["value"], name) for name in found):
            found.add(matched["name"])
    return found


def dumps(script: str) -> bool:
    """Tell whether a script prints every command or the whole environment."""
    if TRACES.search(script) or PROCESS.search(script) or CODE.search(script):
        return True
    return any(
        DUMPS.match(re.sub(r"\s[0-9]?>.*$", "", stage)) for each in pipelines(script) for stage in each.stages
    )


def printed(script: str, names: Iterable[str]) -> Iterator[str]:
    """Yield each variable that a script prints or sends."""
    runs = list(pipelines(script))
    for name in sorted(_copies(script, names)):
        if any(_shows(each, name) for each in runs):
            yield name


def _shows(pipeline: Pipeline, name: str) -> bool:
    for number, stage in enumerate(pipeline.stages):
        if (matched := ONE.match(stage)) and name in matched["names"].split():
            return True
        if not _uses(stage, name) or MASKED in stage:
            continue
        if CLIENT.match(stage) and any(_uses(each, name) for each in SENDS.findall(_spaced(stage))):
            return True
        if PRINTS.match(stage) and not _kept(pipeline.stages[number:]):
            return True
        if PUBLIC.search(target(stage)):
            return True
    return False


def _spaced(stage: str) -> str:
    """Return a command without quotes, the words between them kept together."""
    return re.sub(r"\"[^\"]*\"|'[^']*'", lambda text: re.sub(r"\s", "", text[0][1:-1]), stage)


def _kept(stages: tuple[str, ...]) -> bool:
    """Tell whether what the first command prints ends in a program that keeps it, or in a file."""
    for number, stage in enumerate(stages):
        if number and KEEPS.match(stage):
            return True
        if where := target(stage):
            return not PUBLIC.search(where)
        if re.match(r"^tee\s", stage):
            return False
    return False
