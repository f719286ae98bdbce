import re
from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.sources.configuration import Configuration
from policies.sources.units import duration, number

FILE, LUA, OPTIONS = (
    "config/rspamd/local.d/antivirus.conf",
    "config/rspamd/rspamd.local.lua",
    "config/rspamd/local.d/options.inc",
)


def _seconds(text: str) -> float:
    return duration(text) or number(text) or 0.0


class MAIL_CFG_011(ConfigurationRule):
    """rspamd lets mail pass when the scanner is away, when its rule was dropped, and when it answers with an
    error.

    So the rule must refuse viruses, look at whole mails, and have its verdict demanded by rspamd.local.lua:
    no verdict is a temporary failure. A stack without this file once delivered every virus for years.
    """

    name = (
        "The virus scanner fails closed: antivirus.conf rejects, and rspamd.local.lua "
        "puts off what has no verdict"
    )
    severity = Severity.CRITICAL
    fix = (
        "Restore antivirus.conf (action reject, scan_mime_parts false) and the soft "
        "reject in rspamd.local.lua"
    )
    bad = 'clamav {\n  type = "clamav";\n  servers = "clamav:3310";\n}\n'
    good = (
        'clamav {\n  type = "clamav";\n  servers = "clamav:3310";\n  action = '
        '"reject";\n  scan_mime_parts = false;\n}\n'
    )

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the rule, then at the script and at where it is mounted."""
        if "clamav" not in subject.services and FILE not in subject.known:
            return
        tree = subject.block(FILE)
        blocks = tree.inner("clamav") if tree else []
        if tree is None or not blocks:
            yield Found(Place(FILE), "rspamd asks no virus scanner", "a block clamav { … }", "rspamd")
            return
        for block in [tree, *blocks]:
            if block.get("enabled", "true") in ("false", "no", "off"):
                yield Found(block.where("enabled"), "the virus scanner is off", "leave enabled out", "rspamd")
        for block in blocks:
            for name, value in (("type", "clamav"), ("action", "reject"), ("scan_mime_parts", "false")):
                if block.get(name) != value:
                    what = f"{name} is {block.get(name) or 'not set'}"
                    yield Found(block.where(name), what, f"{name} = {value}", "rspamd")
            yield from self._servers(subject, block.get("servers"), block.where("servers"))
            if block.get("whitelist") or block.get("symbol_whitelist"):
                yield Found(block.where("whitelist"), "some mail is not scanned", "no whitelist", "rspamd")
            options = subject.block(OPTIONS)
            if options and _seconds(options.get("task_timeout", "8s")) <= _seconds(block.get("timeout", "5")):
                should = f"more than {block.get('timeout', '5')} seconds"
                yield Found(
                    options.where("task_timeout"),
                    "rspamd gives up before the scanner answers",
                    should,
                    "rspamd",
                )
        yield from self._script(subject)

    def _servers(self, subject: Configuration, servers: str, place: Place) -> Iterator[Found]:
        host = servers.partition(":")[0]
        if subject.services and host not in subject.services:
            yield Found(
                place,
                f"servers names {host or 'nothing'}, and there is no such service",
                "clamav:3310",
                "rspamd",
            )

    def _script(self, subject: Configuration) -> Iterator[Found]:
        text = re.sub(r"--\[\[.*?\]\]|--[^\n]*", "", subject.text(LUA) or "", flags=re.DOTALL)
        if not ("register_symbol" in text and re.search(r"set_pre_result\(\s*[\"']soft reject[\"']", text)):
            yield Found(
                Place(LUA), "mail without a verdict passes", "a postfilter with a soft reject", "rspamd"
            )
        services = [
            project.services["rspamd"]
            for project in subject.repository.compose
            if "rspamd" in project.services
        ]
        for service in services:
            mounted = [
                mount.get("source") for mount, _ in service.items("volumes") if isinstance(mount, dict)
            ]
            if not any(str(source) and LUA.startswith(str(source)) for source in mounted):
                yield Found(
                    service.where("volumes"),
                    f"{LUA} is not mounted",
                    "it at /etc/rspamd/rspamd.local.lua",
                    "rspamd",
                )


check = MAIL_CFG_011()
