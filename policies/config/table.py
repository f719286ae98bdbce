"""The rules of the tables beside this file, one for each service: what its settings must be.

A demand is a mapping of rows `names: {…}`: names of settings (with * and ?, several behind commas), and
what the value must be in the words of policies/shared/values.py. Besides them: `inside` is a pattern of the
blocks around a setting, `default` what the service takes when nothing is written, if that must be judged as
well, `needed` the files in which the setting must be written; `beside` limits a row to repositories that
have this service. `host: true` marks a matter of taste or of the host: `settings` in policy.yml may allow
another value. `why` says what a wrong value does, `should` what to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from pathlib import Path
from typing import Any

from policies.config.commands import check_commands
from policies.config.given import GIVEN, NO_SETTINGS, WHOLE, Given
from policies.config.reader import Configuration
from policies.model import Found, Place
from policies.shared import values
from policies.shared.rule import Kind

HERE = Path(__file__).parent
WORDS = values.WORDS | {"inside", "default", "needed", "beside", "host", "why", "should"}


@lru_cache(maxsize=512)
def _names(names: str) -> tuple[str, ...]:
    return tuple(re.split(r",\s*", names.lower()))


@lru_cache(maxsize=512)
def _fits(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return one expression for all names of a row: each setting is compared with each row."""
    return re.compile("|".join(map(translate, names)), re.IGNORECASE)


class Judge:
    """What one service's settings are, compared with rows."""

    def __init__(self, service: str, subject: Configuration) -> None:
        self.service, self.policy, self.services = service, subject.repository.policy, subject.services
        self.settings = subject.remember(service, lambda: list(GIVEN[service](subject)))
        self.whole = next(iter(subject.repository.matching(WHOLE[service])), None)
        whole = (
            each for each in self.settings if each.inside == "/command" or not each.inside.startswith("/")
        )
        self.known = {each.name.lower() for each in whole}

    def breaches(self, rows: dict[str, dict[str, Any]]) -> Iterator[Found]:
        """Yield each setting that breaks a row, and what is missing."""
        for names, row in rows.items():
            if row.get("beside", self.service) not in {*self.services, self.service}:
                continue
            for each in (*self._matching(_names(names), row), *self._missing(_names(names), row)):
                if values.wrong(each.value, row, each.raw) and not self._allowed(each):
                    yield self._found(each, row)

    def _matching(self, names: tuple[str, ...], row: dict[str, Any]) -> Iterator[Given]:
        fits, inside = _fits(names).match, row.get("inside", "")
        for each in self.settings:
            if fits(each.name) and re.search(inside, each.inside):
                yield each

    def _missing(self, names: tuple[str, ...], row: dict[str, Any]) -> Iterator[Given]:
        for name in names if "default" in row and self.whole else ():
            if name not in self.known:
                yield Given(name, str(row["default"]), Place(self.whole))
        for file in row.get("needed", ()) if self.settings else ():
            there = [each for each in self.settings if fnmatchcase(each.place.file, file)]
            for name in names:
                if not any(fnmatchcase(each.name.lower(), name) for each in there):
                    yield Given(name, "", Place(file.replace("/*/", "/local.d/")), file.rpartition("/")[2])

    def _allowed(self, each: Given) -> bool:
        allowed = self.policy.section("settings", self.service).get(each.name, [])
        return (each.raw or each.value) in map(str, allowed if isinstance(allowed, list) else [allowed])

    def _found(self, each: Given, row: dict[str, Any]) -> Found:
        written = " ".join((each.raw or each.value).split())
        written = (written if len(written) <= 60 else f"{written[:60]}…") or "not set"
        # What is no setting, such as a statement, is told apart by its text.
        part = f"{each.name} {' '.join(written.split()[:8])}" if each.name in NO_SETTINGS else each.name
        entity = re.sub(r"/+", "/", f"{self.service}/{each.inside}/{part}")
        suggested = ""
        if row.get("host"):
            path, value = ("settings", self.service, each.name), each.raw or each.value
            # A second value beside the first: the first stays allowed.
            decided = [] if (old := self.policy.get(*path)) is None or isinstance(old, list) else [old]
            suggested = self.policy.row(*path, value=[*decided, value] if decided else value)
        should = row.get("should") or f"no {each.name}"
        return Found(each.place, f"{each.name} is {written}: {row['why']}", should, entity, suggested)


def _check(service: str) -> Callable[[Any, Configuration], Iterator[Found]]:
    def check(demand: dict[str, dict[str, Any]], subject: Configuration) -> Iterator[Found]:
        yield from Judge(service, subject).breaches(demand)

    return check


TABLES = {HERE / "rules.yml": check_commands} | {HERE / f"{each}.yml": _check(each) for each in GIVEN}
KIND = Kind("config", "ini", lambda repository: [repository.configuration], TABLES)
