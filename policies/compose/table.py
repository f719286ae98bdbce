"""The rules of rules.yml: each demands something of keys of every service, or of what `of` names instead.

A demand: `key` is the path of a value, or several behind commas of which one is enough; `*` stands for each
entry of a list or a mapping. What the value must be is said in the words of policies/shared/values.py;
besides them: `required: true` (it must be there), `absent: true` (it must not), `has` (one entry must fit
this pattern). `service`, `beside` (another service of the project), `without` (a key), `when: {key, only}`
and `hosts` (one, or several: there is a nodes.yml) limit a demand, `except_in` leaves out what stands in one
file. policy.yml has a say: `unless` names a reason there that lifts the demand, `allow` a list of values that
are fine, `least_of` and `most_of` a bound; `environment` there allows single variables. `why` says what is
wrong, `should` what to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from policies.compose.project import Project, Service
from policies.model import Found, Place
from policies.shared import values
from policies.shared.images import complaint
from policies.shared.located import Map
from policies.shared.rule import Kind

#: What the engine understands beside the words for values.
WORDS = values.WORDS | {"key", "required", "absent", "has", "without", "when", "unless", "allow"}
WORDS |= {"of", "service", "beside", "except_in", "least_of", "most_of", "why", "should", "hosts"}
#: Lists of policy.yml that are about all services.
OF_ALL = ("log_drivers",)
Entry = tuple[Any, str, Place]


def entries(service: Service, path: str) -> Iterator[Entry]:
    """Yield each value at a path that is there, with its name below the service, and its place."""
    yield from _below(service, service.data, (), path.split("."), "")


def _below(
    service: Service, node: Any, done: tuple[Any, ...], steps: list[str], entry: str
) -> Iterator[Entry]:
    if not steps:
        if node is not None:
            name = entry or next(str(step) for step in reversed(done) if isinstance(step, str))
            yield node, name, service.where(*done)
        return
    step, *rest = steps
    if step != "*":
        if isinstance(node, dict):
            yield from _below(
                service, node.get(step), (*done, step), rest, f"{entry}/{step}" if entry else ""
            )
    elif isinstance(node, dict):
        for key, value in node.items():
            inner = value if rest else f"{key}={values.text(value)}"
            yield from _below(service, inner, (*done, key), rest, f"{done[-1]}/{key}")
    elif node is not None:
        for number, value in enumerate(node if isinstance(node, list) else [node]):
            label = value if not isinstance(value, dict) else value.get("target", number)
            yield from _below(service, value, (*done, number), rest, f"{done[-1]}/{label}")


class Demand:
    """One demand on one service."""

    def __init__(self, row: dict[str, Any], service: Service) -> None:
        self.row, self.service = row, service
        self.paths = re.split(r",\s*", row["key"])
        self.policy = service.project.policy
        self.own = self.policy.service(service.name)

    def breaches(self) -> Iterator[Found]:
        """Yield what is wrong."""
        if not self._applies():
            return
        found = [(path, entry) for path in self.paths for entry in entries(self.service, path)]
        there = [
            entry for _, entry in found if not values.wrong(entry[0], {"only": self.row.get("has", ".*")})
        ]
        if ("has" in self.row or self.row.get("required")) and not there:
            name = self._name(self.paths[0])
            yield self._found(self.service.where(*self._fixed()), f"there is no {name}", name)
        for path, (value, name, place) in found if "has" not in self.row else ():
            excepted = place.file == self.row.get("except_in")
            if not excepted and self._wrong(value) and not self._decided(name, value):
                is_there = f"{self._said(path)} is {_short(value)}"
                what = complaint(value) if self.row.get("pinned") else is_there
                yield self._found(place, what, name, value)

    def _applies(self) -> bool:
        row, service, when = self.row, self.service, self.row.get("when")
        if row.get("service", service.name) != service.name or row.get("unless") in self.own:
            return False
        hosts = "several" if service.project.several else "one"
        if row.get("hosts", hosts) != hosts:
            return False
        if "beside" in row and row["beside"] not in service.project.services:
            return False
        if service.get(row.get("without")) is not None:
            return False
        given = [value for value, _, _ in entries(service, when["key"])] if when else []
        return not when or any(not values.wrong(value, when) for value in given or [""])

    def _wrong(self, value: Any) -> bool:
        if self.row.get("absent"):
            return value not in (False, [], {}, "")
        row = dict(self.row)
        for bound in ("least", "most"):
            decided = values.amount(self.own.get(row.get(f"{bound}_of")), row.get("unit", ""))
            # What is no amount at all is for another demand to say.
            if decided is not None and values.amount(value, row.get("unit", "")) is not None:
                row[bound] = decided
        allowed = row.get("allow")
        if allowed and _plain(value) in map(_plain, self._allowed(allowed)):
            return False
        return values.wrong(value, row)

    def _decided(self, name: str, value: Any) -> bool:
        """Tell whether policy.yml allows a variable of the environment."""
        if not self.row["key"].startswith("environment."):
            return False
        variable, given = self._variable(name, value)
        allowed = self.policy.section("environment", self.service.name)
        return variable in allowed and not values.wrong(given, {"only": allowed[variable]})

    def _variable(self, name: str, value: Any) -> tuple[str, str]:
        """Return name and value of a variable; with an asterisk in its key the value is `NAME=value`."""
        variable, _, given = values.text(value).partition("=")
        return (variable, given) if "*" in self.row["key"] else (name, values.text(value))

    def _allowed(self, name: str) -> list[Any]:
        return [*self.own.get(name, ()), *self.policy.values(name)]

    def _found(self, place: Place, what: str, name: str, value: Any = None) -> Found:
        why = self.row.get("why")
        should = self.row.get("should") or f"no {name.partition('/')[2] or name}"
        row = "" if value is None else self._row(name, value)
        return Found(place, f"{what}: {why}" if why else what, should, f"{self.service.name}/{name}", row)

    def _row(self, name: str, value: Any) -> str:
        """Return the row of policy.yml that allows a value; nothing where that is no decision of its own."""
        policy, own = self.policy, ("services", self.service.name)
        if allow := self.row.get("allow"):
            path = (allow,) if allow in OF_ALL else (*own, allow)
            return policy.entry(*path, value=values.text(value))
        if self.row["key"].startswith("environment."):
            variable, given = self._variable(name, value)
            return policy.row("environment", self.service.name, variable, value=re.escape(given))
        if bound := self.row.get("most_of"):
            most = values.amount(value, self.row.get("unit", ""))
            return policy.row(*own, bound, value=values.size(most) if "unit" in self.row else most)
        return ""

    def _name(self, path: str) -> str:
        return next(step for step in reversed(path.split(".")) if step != "*")

    def _fixed(self) -> list[str]:
        steps = self.paths[0].split(".")
        return steps[: steps.index("*")] if "*" in steps else steps

    def _said(self, path: str) -> str:
        return ".".join(step for step in path.split(".") if step != "*")


def _plain(value: Any) -> str:
    return values.text(value).upper().removeprefix("CAP_")


def _short(value: Any) -> str:
    written = " ".join(values.text(value).split())
    return (written if len(written) <= 80 else f"{written[:80]}…") or "empty"


def check(demand: dict[str, Any], subject: Project) -> Iterator[Found]:
    """Yield the breaches of one demand in one project."""
    for owner in _owners(demand.get("of"), subject):
        yield from Demand(demand, owner).breaches()


def _owners(sections: list[str] | None, project: Project) -> Iterable[Service]:
    """Return the services, or the entries of other sections, which are asked in the same way."""
    if not sections:
        return project.services.values()
    entries = ((section, *entry) for section in sections for entry in project.section(section).items())
    return [
        Service(f"{section}/{name}", node, project.where(section, name), project)
        for section, name, node in entries
        if isinstance(node, Map)
    ]


KIND = Kind(
    "compose", "yaml", lambda repository: repository.compose, {Path(__file__).with_name("rules.yml"): check}
)
