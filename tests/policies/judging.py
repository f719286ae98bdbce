"""Many versions of one repository, judged fast: only what reads an edited file is asked again.

Once for each generated repository every rule and every schema is asked with a reader that notes which files,
names and lists of files it looks at. An edit that touches none of them cannot change what it says. Readings
of whole kinds of files (projects, modules, workflows) are taken over in the same way. `WHOLE=1` (make soak)
asks everything about every version instead, and so proves that nothing was left out wrongly.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policies.compose.files import sets_of_files
from policies.compose.project import resolve
from policies.gate import coverage, documents, waivers
from policies.gate.info import OTHERS
from policies.gate.loading import load
from policies.gate.run import Report, run_rules
from policies.readers import Repository
from policies.shared.policy import FILE as POLICY
from policies.shared.repository import _any_of

WHOLE = bool(os.environ.get("WHOLE"))
LOADED = load()
SCHEMAS = [name for name, info in OTHERS.items() if info.family == "schema"]
Asked = Callable[[Repository, Report], None]


@dataclass
class Reads:
    """What was looked at: files, patterns of names, the list of all files, readings of whole kinds."""

    files: set[str] = field(default_factory=set)
    patterns: set[tuple[str, ...]] = field(default_factory=set)
    listing: bool = False
    kinds: set[str] = field(default_factory=set)

    def add(self, other: Reads) -> None:
        """Take in what somebody else looked at."""
        self.files |= other.files
        self.patterns |= other.patterns
        self.listing |= other.listing
        self.kinds |= other.kinds

    def touched_by(self, version: Watched) -> bool:
        """Tell whether the edits of a version may show here."""
        names = (_any_of(patterns).match for patterns in self.patterns)
        come_or_gone = version.come_or_gone
        listed = self.listing or any(fits(file) for fits in names for file in come_or_gone)
        seen = bool(version.changed & self.files) or bool(come_or_gone and listed)
        return seen or any(version.differs(kind) for kind in self.kinds)


class Watched(Repository):
    """A repository that notes what is read, and takes readings over from `base`, the one without edits."""

    def __init__(
        self,
        root: Path,
        texts: Mapping[str, str | None] | None = None,
        modes: Mapping[str, bool] | None = None,
        base: Watched | None = None,
    ) -> None:
        super().__init__(root, texts, modes)
        self.base, self.frames = base, [Reads()]
        self.readings: dict[str, tuple[Any, Reads]] = {}
        #: Files that another version changed: nothing that it takes over may still read them here.
        self.changed_elsewhere: set[str] = set()
        self.changed = {*self.changes, *self.modes}
        self.come_or_gone = set()
        if base:
            # What was read from the disk is the same for all.
            self._texts = base._texts
            self.come_or_gone = {
                file for file, text in self.changes.items() if (text is None) == (file in base.listed)
            }
            left = (set(base.listed) | set(self.changes)) - {f for f, t in self.changes.items() if t is None}
            self.listed = tuple(sorted(left))
        else:
            self.listed = Repository(root, texts, modes).files

    def _note(self, reads: Reads) -> None:
        assert not reads.files & self.changed_elsewhere, "something old was read late: it must not be shared"
        for frame in self.frames:
            frame.add(reads)

    def during(self, ask: Callable[[], Any]) -> tuple[Any, Reads]:
        """Return what a call returns, and what it looked at."""
        self.frames.append(Reads())
        try:
            return ask(), self.frames[-1]
        finally:
            self.frames.pop()

    @property
    def files(self) -> tuple[str, ...]:
        """Every file, as in any repository."""
        self._note(Reads(listing=True))
        return self.listed

    def matching(self, *patterns: str) -> list[str]:
        """Return the files whose path matches one of the patterns."""
        self._note(Reads(patterns={patterns}))
        fits = _any_of(patterns).match
        return [file for file in self.listed if fits(file)]

    def has(self, file: str) -> bool:
        """Tell whether there is such a file."""
        self._note(Reads({file}))
        return super().has(file)

    def executable(self, file: str) -> bool:
        """Tell whether a file's owner may execute it."""
        self._note(Reads({file}))
        return super().executable(file)

    def text(self, file: str) -> str:
        """Return a file's text."""
        self._note(Reads({file}))
        return super().text(file)

    def reading(self, kind: str) -> Any:
        """Return all files of a kind as data, read once for all versions in which it is the same."""
        self._note(Reads(kinds={kind}))
        if kind not in self.readings:
            old = self.base.readings.get(kind) if self.base else None
            same = old and POLICY not in self.changed and self._same(kind, old[1])
            self.readings[kind] = old if same else self.during(lambda: self._read_kind(kind))
        return self.readings[kind][0]

    def _read_kind(self, kind: str) -> Any:
        if kind == "compose" and not self.base:
            self.sets, self.choosing = self.during(lambda: sets_of_files(self))
            _, self.resolving = self.during(lambda: [resolve(self, files) for files in self.sets])
        return self.readers[kind](self)

    def _same(self, kind: str, reads: Reads) -> bool:
        if kind == "compose" and not self.base.resolving.touched_by(self):
            # Scripts decide which files are a project: most edits of them do not.
            return not self.base.choosing.touched_by(self) or sets_of_files(self) == self.base.sets
        return not reads.touched_by(self)

    def differs(self, kind: str) -> bool:
        """Tell whether a kind of files reads otherwise than without the edits."""
        self.reading(kind)
        return self.readings[kind] is not self.base.readings[kind]


for _kind in ("compose", "dockerfiles", "modules"):
    setattr(Watched, _kind, property(lambda self, kind=_kind: self.reading(kind)))


def _rule(rule: Any) -> Asked:
    return lambda repository, report: run_rules(repository, [rule], report)


def _schema(name: str) -> Asked:
    def asked(repository: Repository, report: Report) -> None:
        report.findings += documents.findings(repository, [name])

    return asked


def _decisions(repository: Repository, report: Report) -> None:
    report.problems += waivers.read(repository, datetime.date.today())[1]


def _files(repository: Repository, report: Report) -> None:
    coverage.unknown_files(repository)


EVERYTHING: dict[str, Asked] = {
    **{rule.rule_id: _rule(rule) for rule in LOADED.values()},
    **{name: _schema(name) for name in SCHEMAS},
}
#: What has problems instead of findings.
FILES = "files of a known kind"
ALSO: dict[str, Asked] = {"what policy.yml says": _decisions, FILES: _files}
ASKED = EVERYTHING | ALSO


class Judge:
    """Everything there is to ask about versions of one repository that is clean without an edit."""

    def __init__(self, root: Path) -> None:
        self.base, self.reads = Watched(root), {}
        report = Report()
        for name, ask in ASKED.items():
            # It reads a file when it is first asked: each rule has to be seen reading what it needs.
            for lazy in ("configuration", "policy", "workflows"):
                vars(self.base).pop(lazy, None)
            _, self.reads[name] = self.base.during(lambda ask=ask: ask(self.base, report))
        assert [*report.findings, *report.problems, *self.base.problems] == []

    def judge(
        self, texts: Mapping[str, str | None], modes: Mapping[str, bool], asked: Collection[str] = ()
    ) -> tuple[Repository, Report]:
        """Return a version, and what some rules say of it, or all that its edits can reach."""
        if WHOLE:
            asked, repository = asked or list(ASKED), Repository(self.base.root, texts, modes)
        else:
            repository = Watched(self.base.root, texts, modes, self.base)
            reached = (name for name, reads in self.reads.items() if reads.touched_by(repository))
            asked = asked or list(reached)
        report = Report()
        self.base.changed_elsewhere = {*texts, *modes}
        try:
            for name in asked:
                ASKED[name](repository, report)
        finally:
            self.base.changed_elsewhere = set()
        return repository, report
