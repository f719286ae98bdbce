"""Where a script makes code of a stranger's text, though the text came in a variable."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from policies.shared.located import Map, dig
from policies.shared.tables import table
from policies.workflows.called import called
from policies.workflows.interpreters import arguments_run, code_run, fed, language, reads_code
from policies.workflows.pipelines import INNER_END, Pipeline, joined, split, target
from policies.workflows.reader import Job, Workflow
from policies.workflows.words import DEEPEST, LIFTED, bare, expanded, lifted, plain, program, words

ASSIGNED = re.compile(
    r"^(?:(?:export|local|readonly|declare|typeset)\s+(?:-\w+\s+)*)?(?P<name>[A-Za-z_]\w*)\+?="
)
READ = re.compile(r"^(?:read|mapfile|readarray)\s(?:-\w+\s+)*(?P<names>[^<>|]*)")
LOOPS = re.compile(r"\bwhile\s+(?:\w+=\S*\s+)?read\b(?:\s+-\w+)*(?P<names>[\w ]*)")
PRINTED = re.compile(r"^printf\s+-v\s+(?P<name>\w+)\s")
LOOP = re.compile(r"^for\s+(?P<name>\w+)\s+in\s")
FUNCTION = re.compile(r"^(?:function\s+)?(?P<name>[\w.-]+)\s*\(\s*\)")
#: The end of commands whose output goes somewhere together.
GROUP = re.compile(r"^(?:[})]|done\b|fi\b|esac\b)")
#: A shell calculates with names, and a name may be a[$(command)].
CALCULATED = re.compile(r"^\[\[\s.*\s-(?:eq|ne|lt|le|gt|ge)\s|\$\{\w+@P\}")
SUM = re.compile(r"\(\((?P<inside>.*?)\)\)")
LATER = ("GITHUB_ENV", "GITHUB_PATH")
POSITIONAL = tuple("123456789@*")


def _any(patterns: str, text: str) -> bool:
    return any(re.search(each, text) for each in table("untrusted")[patterns])


def _starts(patterns: str, text: str) -> bool:
    return any(re.match(each, text) for each in table("untrusted")[patterns])


class Script:
    """One shell script, read from its beginning; `names` and `files` hold a stranger's text."""

    def __init__(self, text: str, names: Iterable[str]) -> None:
        self.names = {*names, *table("untrusted")["variables"]}
        self.files: set[str] = set()
        self.later = set(LATER)
        self.functions: set[str] = set()
        #: What was found, and the calls of other files with a stranger's text as an argument.
        self.found: list[str] = []
        self.calls: list[tuple[str, bool]] = []
        self.before = False
        self.again = False
        self.loops = {name for each in LOOPS.findall(text) for name in each.split()} | {"REPLY"}
        self._read(joined(text))
        if self.again:
            # A function stands before its call, a loop before what it reads: now both are known.
            self._read(joined(text))

    def holds(self, text: str) -> bool:
        """Tell whether the shell puts a stranger's text into a text."""
        names = "|".join(sorted(map(re.escape, self.names)))
        dirty = re.sub(table("untrusted")["cleaned"], "", text)
        return bool(re.search(rf"\$(?:{{!?)?(?:{names})(?!\w)", dirty))

    def _read(self, script: str, depth: int = 0) -> bool:
        """Read a script; tell whether it prints a stranger's text."""
        if depth > DEEPEST:
            return True
        outer, inner = lifted(script)
        prints = False
        tainted = {name for name, text in inner.items() if self._read(text, depth + 1)}
        self.names = {name for name in self.names if not name.startswith(LIFTED)} | tainted
        for pipeline in split(outer, str.strip):
            prints = self._pipeline(pipeline) or prints
        return prints

    def _pipeline(self, pipeline: Pipeline) -> bool:
        flows = False
        for stage in pipeline.stages:
            command = plain(stage)
            text = expanded(stage)
            group = self.before and bool(GROUP.match(command))
            holds = group or self.holds(text) or self._names_file(command) or _any("printed_by", command)
            self._learn(stage, command, text, holds or flows)
            if reason := self._calculated(text, holds) or self._reason(command, holds, flows):
                self.found.append(reason)
            self.calls.append((command, holds))
            flows = (holds or flows) and not _starts("cleaned_by", command)
            where = target(stage)
            if flows and where and not self._is_later(where):
                self.files.add(posixpath.normpath(where))
            if matched := re.match(r"tee\s+(?:-\S+\s+)*(?P<file>\S+)", command):
                self.files |= {posixpath.normpath(bare(matched["file"]))} if flows else set()
        self.before = self.before or flows
        return flows and not target(pipeline.stages[-1])

    def _names_file(self, command: str) -> bool:
        return any(self._is_file(word) for word in words(command))

    def _is_file(self, word: str) -> bool:
        return posixpath.normpath(bare(word)) in self.files

    def _is_later(self, text: str) -> bool:
        return bool(re.search(rf"\$\{{?(?:{'|'.join(sorted(self.later))})\b", text))

    def _learn(self, stage: str, command: str, text: str, holds: bool) -> None:
        """Note the variables, functions and names of files that a command makes."""
        for each in (stage, command):
            if matched := ASSIGNED.match(each):
                value = expanded(each[matched.end() :])
                if self._is_later(value):
                    self.later.add(matched["name"])
                if self.holds(value):
                    self.names.add(matched["name"])
        if matched := FUNCTION.match(stage):
            self.functions.add(matched["name"])
        if not holds:
            return
        if matched := READ.match(command):
            self.names |= set(re.findall(r"[A-Za-z_]\w*", matched["names"])) or {"REPLY", "MAPFILE"}
        clean = _starts("cleaned_by", command)
        if not clean and (matched := PRINTED.match(command) or LOOP.match(command)):
            self.names.add(matched["name"])
        if re.match(r"set\s+--\s", command) or command.split(" ")[0] in self.functions:
            self.names |= set(POSITIONAL)
            self.again = True
        if command.startswith("done") and "<" in command:
            self.names |= self.loops
            self.again = True

    def _calculated(self, text: str, holds: bool) -> str:
        sums = " ".join(SUM.findall(text))
        named = any(re.search(rf"(?<![\w]){re.escape(name)}\b", sums) for name in self.names)
        calculated = (holds and CALCULATED.search(plain(text))) or (sums and named)
        return "the shell calculates with it" if calculated else ""

    def _reason(self, command: str, holds: bool, flows: bool) -> str:
        """Say why a command makes code of a stranger's text, if it does."""
        parts = words(command)
        if not parts:
            return ""
        if (holds or flows) and self._is_later(expanded(command)):
            return "it becomes a setting of later steps"
        first = parts[0]
        if self.holds(expanded(first)) and not ASSIGNED.match(first) and not GROUP.match(first):
            return "it is run as a command"
        if self._is_file(first):
            return f"{bare(first)}, a file with it, is run"
        flows = flows or any(self.holds(expanded(each)) or self._is_file(each) for each in fed(parts))
        if arguments_run(parts, lambda word: self.holds(expanded(word)) or self._is_file(word), flows):
            return f"{bare(first)} runs what its arguments say"
        return self._interpreted(command, parts, holds, flows)

    def _interpreted(self, command: str, parts: list[str], holds: bool, flows: bool) -> str:
        wraps = re.fullmatch(table("untrusted")["wrappers"], program(parts[0]))
        for number, word in enumerate(parts if wraps else parts[:1]):
            if name := language(word):
                rest, given = parts[number + 1 :], holds or flows
                document = command.partition(INNER_END)[2].replace(INNER_END, "\n")
                read = [*map(expanded, fed(rest)), expanded(command).partition("\n")[2]]
                codes = list(code_run(name, rest))
                if any(self.holds(expanded(code)) or self._is_file(code) for code in codes):
                    return f"{bare(word)} runs it"
                if reads_code(name, rest):
                    if flows or any(map(self.holds, read)) or any(map(self._is_file, fed(rest))):
                        return f"{bare(word)} reads it as a script"
                    codes.append(document)
                if reason := next(filter(None, (self._inner(name, bare(code), given) for code in codes)), ""):
                    return reason
        return ""

    def _inner(self, name: str, code: str, given: bool) -> str:
        """Look into code between quotes, a shell's or another language's; `given` are its arguments."""
        if name.endswith("sh"):
            return next(iter(Script(code, {*self.names, *(("0", *POSITIONAL) if given else ())}).found), "")
        return next(foreign(code, self.names), "")


#: Code in another language: functions that run a text, or hand it to later steps.
RUNS = (
    r"(?<![\w.])(?:eval|exec|execSync|system|popen|getoutput|getstatusoutput|Function|iex|Invoke-Expression)\b\s*\(?"
    r"[^,;\n]*?|\b(?:exec|child_process|cp|subprocess|os|execa|Kernel)\.\w+\s*\(\s*(?!\[)[^,;\n]*?|"
    r"\b(?:exportVariable|addPath)\s*\([^;\n]*?|[Ss]hell\s*[=:]\s*[Tt]rue[^;\n]*?"
)
SHELL = re.compile(r"\([^;\n]*[Ss]hell\s*[=:]\s*[Tt]rue")
#: What github-script knows of the event; numbers and commits are harmless.
PAYLOAD = r"context\.payload[\w.?]*+(?<!number)(?<!sha)(?<!\.id)"


def foreign(code: str, names: Iterable[str]) -> Iterator[str]:
    """Yield why code of Python, JavaScript and the like runs what variables of the environment hold."""
    texts = {
        rf"\b{re.escape(name)}\b" for name in names if not name.startswith(LIFTED) and name not in POSITIONAL
    }
    texts.add(PAYLOAD)
    lines = re.split(r"[\n;]", code)
    for line in lines:
        matched = re.match(
            r"\s*(?:const|let|var|my)?\s*\$?(?P<name>[A-Za-z_]\w*)\s*=(?!=)(?P<value>.*)", line
        )
        if matched and any(re.search(text, matched["value"]) for text in texts):
            texts.add(rf"\b{matched['name']}\b")
    for line in lines:
        for text in texts:
            if re.search(rf"(?:{RUNS})(?:{text})", line) or (SHELL.search(line) and re.search(text, line)):
                yield "its text is run, or becomes a setting of later steps"
            elif any(name in line for name in LATER) and re.search(text, line):
                yield "it becomes a setting of later steps"


def reasons(
    step: Map, job: Job, workflow: Workflow, names: set[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the first reason why a step's script, or what it calls, runs what the variables `names` hold."""
    script = dig(step, "with", "script")
    if isinstance(script, str) and "github-script" in str(step.get("uses")):
        yield from ((("with", "script"), reason) for reason in islice(foreign(script, names), 1))
    run = step.get("run")
    if not isinstance(run, str):
        return
    shell = _setting("shell", step, job, workflow).split(" ")[0] or "bash"
    if not re.fullmatch(r"\S*sh", shell) or shell.endswith("pwsh"):
        yield from ((("run",), reason) for reason in islice(foreign(run, names), 1))
        return
    folder = _setting("working-directory", step, job, workflow) or "."
    yield from ((("run",), reason) for reason in islice(_followed(run, names, workflow, folder), 1))


def _setting(name: str, step: Map, job: Job, workflow: Workflow) -> str:
    ways = (step.get(name), job.get("defaults", "run", name), dig(workflow.data, "defaults", "run", name))
    return next((str(each).strip() for each in ways if each), "")


def _followed(run: str, names: set[str], workflow: Workflow, folder: str) -> Iterator[str]:
    """Yield the reasons in a script and in what it calls in this repository."""
    seen: set[tuple[str, bool]] = set()
    waiting = [("", run, names)]
    while waiting:
        origin, text, known = waiting.pop(0)
        script = Script(text, known)
        yield from (f"{reason}{f' ({origin})' if origin else ''}" for reason in script.found)
        for command, holds in script.calls if workflow.repository else ():
            for each in called(command, workflow.repository, folder):
                if (each.name, holds) in seen:
                    continue
                seen.add((each.name, holds))
                for name in sorted(each.pasted & known):
                    yield f"{each.name} has ${name} pasted into its commands"
                inside = {*names, *(POSITIONAL if holds else ())}
                if each.shell:
                    waiting.append((each.name, each.text, inside))
                else:
                    yield from (f"{reason} ({each.name})" for reason in foreign(each.text, inside))
