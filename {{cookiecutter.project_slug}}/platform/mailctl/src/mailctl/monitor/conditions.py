"""The conditions of conditions.yml, the one table of what is watched."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mailctl.monitor.facts import Facts, Finding

TABLE = Path(__file__).with_name("conditions.yml")


@dataclass(frozen=True)
class Condition:
    """A row; the table's head says what each column means. Times are seconds."""

    id: str
    title: str
    severity: str
    fix: str
    ask: Callable[[Facts], Iterable[Finding]]
    hold: int = 0
    clear: int = 0
    every: int = 0
    behind: tuple[str, ...] = ("engine", "service")
    once: bool = False
    whole: bool = False


@cache
def table() -> tuple[Condition, ...]:
    import yaml

    from mailctl.monitor import cluster, forwards, host, mail

    places = {"cluster": cluster, "forwards": forwards, "host": host, "mail": mail}
    found = []
    for id, row in yaml.safe_load(TABLE.read_text("utf-8")).items():
        place, _, function = row.pop("ask").partition(".")
        if "behind" in row:
            row["behind"] = tuple(row["behind"])
        found.append(Condition(id, ask=getattr(places[place], function), **row))
    return tuple(found)
