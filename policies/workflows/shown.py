"""Secrets that a script prints, sends or leaves for others, though they are in its environment only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from policies.workflows.pipelines import Pipeline, pipelines, target

#: Programs whose output is what they are given.
PRINTS = re.compile(
    r"^(?:\S*/)?(?:echo|printf|cat|tac|tee|base64|base32|xxd|od|hexdump|rev|tr|fold|sed|logger|[gm]?awk|cut|head|tail|"
    r"sort|uniq|nl|paste|fmt|strings|less|more|jq|yq|yes|dd|diff|xargs|column|openssl\s+(?:enc|base64)|"
    r"grep(?!\s+(?:-\w+\s+)*-\w*[cq]))\b"
)
PROGRAM_PRINTS = re.compile(
    r"^(?:\S*/)?(?:python|node|perl|ruby|php|lua)[\d.]*\s.*\b(?:print|console|puts|echo|say|write)", re.DOTALL
)
#: Programs whose output tells nothing of what they are given.
TELLS_NOTHING = re.compile(r"^(?:wc|sha\d+sum|md5sum|cksum|grep\s+(?:-\w+\s+)*-\w*[cq])\b")
#: Programs that show everybody what their arguments say.
PUBLISHES = re.compile(r"^(?:gh\s+(?:pr|issue|release|gist)|git\s+(?:commit|tag|notes))\s")
#: curl and wget print headers and addresses with these.
TALKS = re.compile(r"\s(?:-\w*v\w*|--verbose|--trace\S*|--debug)(?=\s|$)|^wget\s(?:.*\s)?-d(?=\s|$)")
#: Where the command line itself shows a secret: to every process, and in messages.
ON_COMMAND_LINE = (
    r"--(?:\w+-)*(?:password|passwd|passphrase|pass|secret|token|api-?key)[=\s]\s*[\"']?",
    r"://[^\s/@]*",
    r"\bpass:[\"']?",
    r"^sshpass\s+-p\s*[\"']?",
    r"^(?:mysql|mariadb)\S*\s(?:.*\s)?-p[\"']?",
    r"^(?:docker|podman|helm|az|npm)\s(?:.*\s)?login\s(?:.*\s)?-p\s*[\"']?",
    r"^openssl\s(?:.*\s)?-k\s+[\"']?",
)
#: Files of programs with what they log in with.
LOGINS = re.compile(
    r"\.netrc\b|\.docker/config\.json|\.pgpass\b|\.aws/credentials|\.git/config|\.my\.cnf|hosts\.yml"
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
    r"^(?:\S*/)?(?:(?:env|printenv)(?:\s+(?:-0|--null))?|set|(?:export|declare|typeset)(?:\s+-[a-zA-Z]*[px][a-zA-Z]*)?)\s*$|"
    r"^gh\s+auth\s+(?:token\b|status\b.*\s(?:-t|--show-token)\b)|^compgen\s+-\w*[ve]|^ps\s+(?:-?\w*e\w*w|aux?e)|"
    r"^[jy]q\s.*(?:\$ENV\b|\benv\b)|"
    r"^docker(?:-|\s+)compose\s(?:.*\s)?config(?!.*\s(?:-q|--quiet|--services|--images|--volumes|--profiles|--no-interpolate))"
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
READ = re.compile(
    r"\b(?:read|mapfile|readarray)\b(?:\s+-\w+)*\s+(?P<names>\w[\w ]*)|\bfor\s+(?P<each>\w+)\s+in\s"
)
WRITTEN = re.compile(r"^(?:\S*/)?(?:tee\s+(?:-\S+\s+)*|install\s.*/dev/stdin\s+)(?P<file>[^\s<>|]+)")
EVALUATED = re.compile(r"^eval\s+[\"']?(?P<inner>.*?)[\"']?$", re.DOTALL)
MASKED = "::add-mask::"


def _uses(text: str, name: str) -> bool:
    """Tell whether a text has a variable's value in it; its length, or that it is set, tells nothing."""
    return bool(re.search(rf"\$(?:{re.escape(name)}\b|\{{!?{re.escape(name)}\b(?!:?\+))", text))


def _copies(script: str, names: Iterable[str]) -> set[str]:
    """Return the names of variables that hold a secret, with those that a script gives its value to."""
    found = set(names)
    for line in re.split(r"[\n;]|&&", script):
        line = line.strip()
        if matched := ASSIGNED.match(line):
            value = matched["value"].strip("\"'")
            asked = re.search(rf"printenv\s+(?:{'|'.join(map(re.escape, sorted(found)))})\b", value)
            named = value in found and f"${{!{matched['name']}" in script
            if asked or named or any(_uses(value, name) for name in found):
                found.add(matched["name"])
        elif (matched := READ.search(line)) and any(_uses(line, name) for name in found):
            found |= set((matched["names"] or matched["each"]).split())
        elif line.startswith("done") and any(_uses(line, name) for name in found):
            found |= {
                name for each in READ.finditer(script) for name in (each["names"] or each["each"]).split()
            }
    return found


def dumps(script: str) -> bool:
    """Tell whether a script prints every command or the whole environment."""
    if TRACES.search(script) or PROCESS.search(script) or CODE.search(script):
        return True
    return any(_dumped(each) and not _kept(each.stages) for each in pipelines(script))


def _dumped(pipeline: Pipeline) -> bool:
    first = re.sub(r"\s[0-9]?>.*$", "", pipeline.stages[0])
    return bool(DUMPS.match(first) or (PRINTS.match(first) and LOGINS.search(first)))


def files(script: str, names: Iterable[str]) -> set[str]:
    """Return the files that a script writes a secret to."""
    known, found = _copies(script, names), set()
    for each in pipelines(script):
        if _dumped(each) or any(_uses(stage, name) for stage in each.stages for name in known):
            for stage in each.stages:
                where = target(stage)
                if where and not PUBLIC.search(where) and where != "/dev/null":
                    found.add(where)
                if matched := WRITTEN.match(stage):
                    found.add(matched["file"].strip("\"'"))
    return found


def printed(script: str, names: Iterable[str]) -> Iterator[str]:
    """Yield each variable that a script prints or sends."""
    runs, known = list(pipelines(script)), _copies(script, names)
    for name in sorted(known):
        if any(_shows(each, name) for each in runs):
            yield name
    for file in sorted(files(script, names)):
        if any(_reads(each, file) and not _kept(each.stages) for each in runs):
            yield file


def _reads(pipeline: Pipeline, file: str) -> bool:
    """Tell whether a pipeline begins with a program that prints a file."""
    first = re.sub(r"[0-9]?>{1,2}\s*\S+", "", pipeline.stages[0])
    words = [word.lstrip("<").strip("\"'") for word in first.split()]
    return bool(PRINTS.match(first)) and file in words[1:]


def _shows(pipeline: Pipeline, name: str) -> bool:
    for number, stage in enumerate(pipeline.stages):
        if (matched := ONE.match(stage)) and name in matched["names"].split():
            return True
        if not _uses(stage, name) or MASKED in stage:
            continue
        if PROGRAM_PRINTS.match(stage):
            return True
        if CLIENT.match(stage) and any(_uses(each, name) for each in SENDS.findall(_spaced(stage))):
            return True
        if (CLIENT.match(stage) and TALKS.search(_unquoted(stage))) or PUBLISHES.match(stage):
            return True
        if any(re.search(rf"{each}\$\{{?{re.escape(name)}\b", stage) for each in ON_COMMAND_LINE):
            return True
        if (matched := EVALUATED.match(stage)) and _shows(
            Pipeline((matched["inner"].replace("\\", ""),), ""), name
        ):
            return True
        if PRINTS.match(stage) and not _kept(pipeline.stages[number:]):
            return True
        if PUBLIC.search(target(stage)):
            return True
    return False


def _spaced(stage: str) -> str:
    """Return a command without quotes, the words between them kept together."""
    return re.sub(r"\"[^\"]*\"|'[^']*'", lambda text: re.sub(r"\s", "", text[0][1:-1]), stage)


def _unquoted(stage: str) -> str:
    return re.sub(r"\"[^\"]*\"|'[^']*'", "x", stage)


def _kept(stages: tuple[str, ...]) -> bool:
    """Tell whether what the first command prints ends in a program that keeps it, or in a file."""
    for number, stage in enumerate(stages):
        if number and (KEEPS.match(stage) or TELLS_NOTHING.match(stage)):
            return True
        if where := target(stage):
            return not PUBLIC.search(where)
        if re.match(r"^tee\s", stage):
            return False
    return False
