import re
from collections.abc import Iterator
from typing import Any

from policies.compose.project import Service
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.config.scripts import commands
from policies.model import Found, Place, Severity
from policies.shared import changes, tables
from policies.shared.located import sequence

#: Options with which MariaDB reads other files than its own, or none.
ELSEWHERE = re.compile(r"--(?:no-defaults|defaults-(?:extra-)?file)\b")


def _words(command: Any) -> str:
    """Return a command, a text or a list, as one line."""
    return " ".join(word for item in sequence(command) for word in str(item).split())


class MAIL_CFG_031(ConfigurationRule):
    """What a command sets wins over the reviewed file: `dovecot -o auth_allow_cleartext=yes` does it.

    The same holds for a command that names another file, or none, and for a script that rewrites settings.
    """

    name = "Services start as policies/data/commands.yml says, and no script changes their settings"
    severity = Severity.CRITICAL
    fix = "Remove the command, and write the setting into the service's file below config/"
    bad = "services:\n  dovecot:\n    command: [dovecot, -F, -o, auth_allow_cleartext=yes]\n"
    good = "services:\n  dovecot:\n    image: dovecot/dovecot\n"
    language = "yaml"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Compare entrypoint and command with the table; then look at what scripts set."""
        for name, row in tables.table("commands").items():
            for service in subject.running(name):
                for key in ("entrypoint", "command"):
                    yield from self._start(service, key, row.get(key, [""]))
                for hook, place in service.hooks():
                    yield from self._sets(_words(hook.get("command")), place, service.name, True)
                place = service.where("healthcheck", "test")
                yield from self._sets(_words(service.get("healthcheck", "test")), place, service.name, True)
        for command in commands(subject.repository):
            yield from self._sets(command.text, command.place, command.place.file)

    def _sets(self, text: str, place: Place, entity: str, statements: bool = False) -> Iterator[Found]:
        if piece := changes.found(text, statements):
            what = f"a command sets what no file says: {piece}"
            yield Found(place, what, "the setting in the service's file", entity)

    def _start(self, service: Service, key: str, allowed: list[str]) -> Iterator[Found]:
        text = _words(service.get(key))
        if not any(self._fits(text, pattern) for pattern in allowed) or ELSEWHERE.search(text):
            should = " or ".join(each or f"no {key}" for each in allowed)
            yield Found(service.where(key), f"{key} is {text or 'not set'}", should, service.name)

    def _fits(self, text: str, pattern: str) -> bool:
        if pattern.startswith("~"):
            return bool(re.fullmatch(pattern[1:], text))
        fixed, options, _ = pattern.partition("...")
        rest = text.removeprefix(fixed.strip())
        if not options:
            return text == pattern
        return text.startswith(fixed.strip()) and (not rest or rest.lstrip().startswith("--"))


check = MAIL_CFG_031()
