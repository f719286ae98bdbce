"""The services' configuration files, each parsed by its own grammar, with lines kept."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.config import braces, php, postfix
from policies.config.braces import Block
from policies.config.postfix import Parameters, Process
from policies.config.settings import Settings, ini, option, words_file
from policies.shared.located import Unreadable
from policies.shared.rule import read

if TYPE_CHECKING:
    from policies.shared.repository import Repository

#: A service of a Compose project, from `repository.compose`.
Service = Any

KINDS = read(Path(__file__).with_name("files.yml"))
MOUNTS = read(Path(__file__).with_name("mounts.yml"))
MAIN, MASTER = "config/postfix/main.cf", "config/postfix/master.cf"
READERS = {"words": words_file, "ini": ini, "php": php.assignments, "postfix parameters": postfix.parameters}
TREES = {"nginx": braces.nginx, "dovecot": braces.dovecot}


def mount(file: str) -> dict[str, Any]:
    """Return where a service reads a file of ours: the row of mounts.yml; an empty one if none does."""
    return next((row for row in MOUNTS if fnmatch(file, row["files"])), {})


class Configuration:
    """All configuration files of one repository; what a repository does not have is None or empty."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._blocks: dict[str, Block | None] = {}
        self._remembered: dict[str, Any] = {}

    def remember(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what `make` makes, made once."""
        if name not in self._remembered:
            self._remembered[name] = make()
        return self._remembered[name]

    def lines(self, file: str) -> list[tuple[int, str]]:
        """Return the logical lines of a map of Postfix with their numbers."""
        return [(parts[0][1], line) for line, parts in postfix.logical_lines(self.text(file) or "")]

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The kind of each file below config/, as files.yml or policy.yml names it."""
        found = {}
        for file in self.repository.matching("config/*"):
            if kind := self.kind(file):
                found[file] = kind
        return found

    def kind(self, file: str) -> str | None:
        """Return the kind that a file of this name has, or None if there is none."""
        patterns = {**self.repository.policy.section("files"), **KINDS}
        return next((kind for pattern, kind in patterns.items() if fnmatch(file, pattern)), None)

    def files(self, kind: str, folder: str = "config/") -> list[str]:
        """Return the files of a kind below a folder."""
        return [file for file, its in self.kinds.items() if its == kind and file.startswith(folder)]

    def text(self, file: str) -> str | None:
        """Return a file's text, or None if there is no such file."""
        return self.repository.text(file) if file in self.repository.files else None

    @cached_property
    def services(self) -> set[str]:
        """The names of all services in the Compose files."""
        return {name for project in self.repository.compose for name in project.services}

    @cached_property
    def postfix_main(self) -> Parameters | None:
        """config/postfix/main.cf."""
        text = self.text(MAIN)
        return None if text is None else postfix.parameters(text, MAIN)

    @cached_property
    def postfix_master(self) -> list[Process]:
        """config/postfix/master.cf."""
        text = self.text(MASTER)
        return [] if text is None else postfix.processes(text, MASTER)

    def block(self, file: str) -> Block | None:
        """Return a file with braces as a tree; one that cannot be read is a problem, and None."""
        if file not in self._blocks:
            text = self.text(file)
            self._blocks[file] = None
            if text is not None:
                try:
                    self._blocks[file] = TREES.get(self.kinds.get(file, ""), braces.ucl)(text, file)
                except Unreadable as error:
                    fix = "close every brace and quote"
                    self.repository.problem("unreadable", error.place, str(error), fix)
        return self._blocks[file]

    def blocks(self, kind: str, folder: str = "config/") -> list[Block]:
        """Return all files of a kind as trees."""
        return [tree for file in self.files(kind, folder) if (tree := self.block(file)) is not None]

    def flat(self, file: str) -> Settings | None:
        """Return a flat file by its kind: words, ini or php."""
        text = self.text(file)
        return None if text is None else READERS[self.kinds[file]](text, file)

    def called(self, name: str) -> list[Block]:
        """Return rspamd's files of one name, in local.d and in override.d, as trees."""
        return [
            self.block(file) for file in self.files("ucl") if file.endswith(f"/{name}") and self.block(file)
        ]

    def running(self, name: str) -> list[Service]:
        """Return a service in every Compose project that has it."""
        return [each.services[name] for each in self.repository.compose if name in each.services]

    def arguments(self, service: Service, bare: bool = False) -> Settings:
        """Return a command's options: `--name value`, or only `--name=value` where a name may be bare."""
        found = Settings(service.where("command").file)
        for key in ("entrypoint", "command"):
            given = list(service.items(key))
            items = [
                (word, place)
                for item, place in given
                for word in (str(item).split() if len(given) == 1 else [str(item)])
            ]
            for number, (word, place) in enumerate(items):
                if not word.startswith("--"):
                    continue
                following = items[number + 1][0] if number + 1 < len(items) else ""
                name, value = option(word) if bare or "=" in word else (word[2:].lower(), following)
                found.values[name], found.places[name] = value, place
        return found

    def in_force(self, file: str, service: str, bare: bool = False) -> list[Settings]:
        """Return a flat file with the options of the service's command laid over it, for each project."""
        settings = self.flat(file) if file in self.kinds else None
        found = []
        for each in (self.running(service) or [None]) if settings else ():
            given = self.arguments(each, bare) if each else Settings(file)
            values, places = {**settings.values, **given.values}, {**settings.places, **given.places}
            found.append(Settings(file, values, places))
        return found

    def source(self, service: Service, path: str) -> str | None:
        """Return the repository's file that a service sees under a path: the deepest mount counts."""
        over = [
            (len(target), source, path.removeprefix(target))
            for target, source, _ in service.mounts()
            if path == target or path.startswith(f"{target.rstrip('/')}/")
        ]
        # A volume over the path has no source.
        _, source, rest = max(over, default=(0, None, ""), key=lambda each: each[0])
        found = f"{(source or '').rstrip('/')}{rest}"
        return found if source and found in self.repository.files else None

    def smtpd(self) -> list[tuple[Process, Parameters]]:
        """Return each process that takes mail over the network, with main.cf as it sees it."""
        main = self.postfix_main
        takers = [each for each in self.postfix_master if each.command == "smtpd"] if main else []
        return [(process, process.view(main)) for process in takers]

    def views(self) -> list[tuple[str, Parameters]]:
        """Return main.cf, and main.cf as each process sees it that takes mail over the network."""
        main = [("main.cf", self.postfix_main)] if self.postfix_main else []
        return main + [(process.name, view) for process, view in self.smtpd()]
