import re
from collections.abc import Iterator

from policies.config import demands
from policies.config.demands import Given
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity


class MAIL_CFG_038(ConfigurationRule):
    """A scanner that skips what is deep inside, takes signatures from a stranger or asks for none is green on
    every page, and finds nothing.

    policies/data/settings/clamav.yml says what each option must be and what happens otherwise.
    """

    name = (
        "ClamAV looks at everything, with signatures from its own makers, and runs no program: see the table"
    )
    severity = Severity.HIGH
    fix = (
        "Write the value that the message names, or leave the option out. What is allowed stands in "
        "policies/data/settings/clamav.yml"
    )
    bad = "ExcludePath ^/tmp/\nChecks 0\n"
    good = "DatabaseMirror database.clamav.net\nChecks 12\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at every line: an option that may stand twice counts each time."""
        for file in subject.files("words", "config/clamav/"):
            settings = subject.flat(file)
            given = list(demands.of_flat(settings)) if settings else []
            yield from demands.found("clamav", [*given, *self._earlier(subject.text(file) or "", given)])

    def _earlier(self, text: str, given: list[Given]) -> Iterator[Given]:
        """Yield the options that a later line of the same name hides."""
        last = {each.name: each.place for each in given}
        for number, line in enumerate(text.splitlines(), 1):
            name, _, value = re.sub(r"\s+", " ", line.strip()).partition(" ")
            place = last.get(name.lower())
            if place and place.line != number:
                yield Given(name.lower(), value.strip("\"' "), type(place)(place.file, number))


check = MAIL_CFG_038()
