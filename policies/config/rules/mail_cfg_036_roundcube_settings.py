import re
from collections.abc import Iterator

from policies.config import demands, php
from policies.config.demands import Given
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity

FOLDER = "config/roundcube/"


class MAIL_CFG_036(ConfigurationRule):
    """Roundcube sees every password and every mail. One option sends both to another host, lets what a mail
    brings run in the browser, or writes it all into the log.

    policies/data/settings/roundcube.yml says what each option must be and what happens otherwise.
    """

    name = "Roundcube and PHP: no option gives passwords or mail away, or runs foreign code: see the table"
    severity = Severity.HIGH
    fix = (
        "Write the value that the message names, or leave the option out. What is allowed stands in "
        "policies/data/settings/roundcube.yml"
    )
    bad = "$config['show_images'] = 2;\n"
    good = "$config['show_images'] = 0;\n"
    language = "php"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at each assignment, a later one or not, then at php.ini and the environment's plugins, whose
        other variables are MAIL_CMP_024's.
        """
        for file in subject.files("php", FOLDER):
            whole = Place(file) if file.endswith("mailserver.php") else None
            yield from demands.found("roundcube", self._assigned(subject.text(file) or "", file), whole)
        for file in subject.files("ini", FOLDER):
            settings = subject.flat(file)
            yield from demands.found("roundcube", demands.of_flat(settings) if settings else ())
        for service in subject.running("roundcube"):
            given = [
                Given(name.lower(), str(value), place)
                for name, value, place in service.entries("environment")
                if name.startswith("ROUNDCUBEMAIL_") and value is not None
            ]
            yield from demands.found("roundcube", given)

    def _assigned(self, text: str, file: str) -> Iterator[Given]:
        for statement, line in php.statements(text.removeprefix("<?php")):
            if matched := php.ASSIGNED.match(statement):
                value = php.truth(matched["value"])
                yield Given(matched["name"], re.sub(r"['\"]", "", value), Place(file, line))


check = MAIL_CFG_036()
