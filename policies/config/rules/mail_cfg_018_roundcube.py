import re
from collections.abc import Iterator

from policies.config import php
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.shared.secrets import is_named

FOLDER = "config/roundcube/"
HARMLESS = ("password_charset",)
#: The password that the user has typed.
TYPED = "%p"
#: Options of PHP's TLS, and what each must be.
TLS = re.compile(
    r"['\"](?P<name>verify_peer|verify_peer_name|allow_self_signed)['\"]\s*(?:=>|\]\s*=(?!=))\s*(?P<value>[^,;\]\)]+)"
)
#: php.ini, and its other spelling in a PHP file.
SHOWN = ("display-errors", "display-startup-errors", "allow-url-include", "expose-php")
SET = re.compile(r"\bini_set\s*\(\s*['\"](?P<name>\w+)['\"]\s*,\s*(?P<value>[^)]*)\)")
OFF = ("off", "0", "no", "false", "none", "")


class MAIL_CFG_018(ConfigurationRule):
    """Roundcube's installer shows the configuration with its passwords to everybody, and lets them change it.

    Connections that are not verified, keys in the file and PHP's errors in the browser give away the same
    things more slowly.
    """

    name = (
        "Roundcube: the installer is off, certificates are verified, no key in the file, "
        "no PHP error in the browser"
    )
    severity = Severity.HIGH
    fix = (
        "Set enable_installer = false and verify_peer => true; keys come from "
        "/run/secrets; display_errors stays Off"
    )
    bad = "$config['enable_installer'] = true;\n"
    good = "$config['enable_installer'] = false;\n"
    language = "php"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the PHP files, then at php.ini."""
        for file in subject.files("php", FOLDER):
            yield from self._installer(subject, file)
            yield from self._keys(subject, file)
            for statement, line in php.statements((subject.text(file) or "").removeprefix("<?php")):
                yield from self._statement(statement, Place(file, line))
        for file in subject.files("ini", FOLDER):
            settings = subject.flat(file)
            for name in SHOWN if settings else ():
                if settings.get(name, "off").lower() not in OFF:
                    yield Found(settings.where(name), f"{name.replace('-', '_')} is on", "Off", "roundcube")

    def _installer(self, subject: Configuration, file: str) -> Iterator[Found]:
        settings = subject.flat(file)
        name, needed = "enable_installer", file.endswith("mailserver.php")
        if settings and php.truth(settings.get(name, "true" if needed else "false")) != "false":
            yield Found(settings.where(name), "the installer is not off", f"{name} = false", "roundcube")
        if settings and "?" in settings.values:
            what = "$config is changed in a way that nobody can follow"
            yield Found(settings.where("?"), what, "$config['name'] = value, one by one", "roundcube")

    def _keys(self, subject: Configuration, file: str) -> Iterator[Found]:
        settings = subject.flat(file)
        for name, value in settings.values.items() if settings else ():
            written = [
                each
                for each in php.literals(value)
                if each not in ("", TYPED) and not each.startswith("/run/secrets/")
            ]
            if is_named(name) and name not in HARMLESS and written:
                what = f"{name} stands in the file"
                yield Found(settings.where(name), what, "a secret in /run/secrets", "roundcube")

    def _statement(self, statement: str, place: Place) -> Iterator[Found]:
        for matched in TLS.finditer(statement):
            right = "false" if matched["name"] == "allow_self_signed" else "true"
            if php.truth(matched["value"]) != right:
                at = Place(place.file, place.line + statement.count("\n", 0, matched.start()))
                yield Found(at, "certificates are not verified", f"{matched['name']} => {right}", "roundcube")
        for matched in SET.finditer(statement):
            name = matched["name"].replace("_", "-")
            if name in SHOWN and matched["value"].strip(" '\"").lower() not in OFF:
                yield Found(place, f"{matched['name']} is on", "Off", "roundcube")


check = MAIL_CFG_018()
