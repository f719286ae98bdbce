from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.sources.configuration import Configuration
from policies.sources.secrets import is_named

FOLDER = "config/roundcube/"
LITERAL = ("'", '"')
HARMLESS = ("smtp_pass", "password_charset")


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
        """Look at the PHP files, then at php.ini and the environment."""
        for file in subject.files("php", FOLDER):
            settings = subject.flat(file)
            if (
                settings
                and settings.get("enable_installer", "true" if file.endswith("mailserver.php") else "false")
                != "false"
            ):
                yield Found(
                    settings.where("enable_installer"),
                    "the installer is not off",
                    "enable_installer = false",
                    "roundcube",
                )
            for name, value in settings.values.items() if settings else ():
                if is_named(name) and name not in HARMLESS and value.startswith(LITERAL) and len(value) > 2:
                    yield Found(
                        settings.where(name),
                        f"{name} stands in the file",
                        "a secret in /run/secrets",
                        "roundcube",
                    )
            yield from self._lines(file, subject.text(file) or "")
        for file in subject.files("ini", FOLDER):
            settings = subject.flat(file)
            for name in ("display-errors", "display-startup-errors", "allow-url-include", "expose-php"):
                value = settings.get(name, "off").lower() if settings else "off"
                if settings and value not in ("off", "0", "no", "false"):
                    yield Found(settings.where(name), f"{name.replace('-', '_')} is on", "Off", "roundcube")

    def _lines(self, file: str, text: str) -> Iterator[Found]:
        for number, line in enumerate(text.splitlines(), 1):
            squeezed = line.replace(" ", "").replace('"', "'").lower()
            if squeezed.startswith(("//", "#", "*")):
                continue
            for option in ("'verify_peer'=>false", "'verify_peer_name'=>false", "'allow_self_signed'=>true"):
                if option in squeezed:
                    yield Found(
                        Place(file, number),
                        "certificates are not verified",
                        "verify_peer => true",
                        "roundcube",
                    )


check = MAIL_CFG_018()
