import re
from collections.abc import Iterator

from policies.config import recorded
from policies.config.braces import Block, Setting
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.shared.units import seconds

FILE, LUA = "config/rspamd/local.d/antivirus.conf", "config/rspamd/rspamd.local.lua"
CLAMD = "config/clamav/clamd.conf"
OFF, NO = ("false", "no", "off"), ("no", "false", "0")
RIGHT = (("type", ("clamav",)), ("action", ("reject",)), ("scan_mime_parts", OFF))
#: What leaves some mail without a scan: in the rule itself, and in rspamd's settings for some senders.
SKIPS = {"whitelist", "symbol_whitelist", "attachments_only"}
LETS_PASS = {
    "want_spam",
    "whitelist",
    "symbols_disabled",
    "symbols_enabled",
    "groups_disabled",
    "groups_enabled",
    "skip",
}
ACCEPTS = ("accept", "no action")
#: What a script may do to a verdict, and ways to end before it.
UNDOES = re.compile(
    r"set_pre_result\s*[({][^)}]*?[\"'](?:accept|no action|add header|rewrite subject)[\"']"
    r"|disable_symbol|:set_settings"
    r"|callback\s*=\s*function\s*\(\w*\)\s*(?:do\s+)?return\b|\bif\s+true\s+then\s+return\b"
)
PUTS_OFF = re.compile(r"set_pre_result\(\s*[\"']soft reject[\"']")


class MAIL_CFG_011(ConfigurationRule):
    """rspamd lets mail pass when the scanner is away, when its rule was dropped, and when it answers with an
    error.

    So the rule must refuse viruses, look at whole mails, and have its verdict demanded by rspamd.local.lua:
    no verdict is a temporary failure. A stack without this file once delivered every virus for years. What a
    script of Lua does nobody can tell from its words, so the gate knows the digest of its code
    without comments (policies/data/recorded.yml): a change of the script is reviewed, and its digest with it.
    """

    name = (
        "The virus scanner fails closed: antivirus.conf rejects, and rspamd.local.lua, as it was "
        "reviewed, puts off what has no verdict"
    )
    severity = Severity.CRITICAL
    fix = (
        "Restore antivirus.conf (action reject, scan_mime_parts false) and the soft "
        "reject in rspamd.local.lua; after a review of a changed script write its digest, which "
        "the message names, into policies/data/recorded.yml"
    )
    bad = 'clamav {\n  type = "clamav";\n  servers = "clamav:3310";\n}\n'
    good = (
        'clamav {\n  type = "clamav";\n  servers = "clamav:3310";\n  action = '
        '"reject";\n  scan_mime_parts = false;\n}\n'
    )

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the rule, at ways around it, at the script, then at what clamd looks into."""
        trees = subject.called("antivirus.conf")
        if "clamav" not in subject.services and not trees:
            return
        rules = self._rules(trees)
        if not rules:
            yield Found(Place(FILE), "rspamd asks no virus scanner", "a block clamav { … }", "rspamd")
            return
        for tree in trees:
            for block in tree.walk():
                for setting in block.all("enabled"):
                    if setting.value.lower() in OFF:
                        yield Found(setting.place, "the virus scanner is off", "leave enabled out", "rspamd")
        for block in rules:
            yield from self._rule(subject, block)
        yield from self._around(subject)
        yield from self._scripts(subject)
        yield from self._clamd(subject)

    def _rules(self, trees: list[Block]) -> list[Block]:
        """Return the rules for ClamAV, what override.d says behind what local.d says."""
        found: dict[str, Block] = {}
        for block in (each for tree in trees for each in tree.blocks):
            rule = found.setdefault(block.name, Block(block.name, "", block.place))
            rule.settings += block.settings
        return [rule for name, rule in found.items() if name == "clamav" or rule.get("type") == "clamav"]

    def _rule(self, subject: Configuration, rule: Block) -> Iterator[Found]:
        for name, values in RIGHT:
            if rule.get(name).lower() not in values:
                what = f"{name} is {rule.get(name) or 'not set'}"
                yield Found(rule.where(name), what, f"{name} = {values[0]}", "rspamd")
        hosts = [each.strip("[] ").split(":")[0] for each in re.split(r"[,;\s]+", rule.get("servers"))]
        for host in hosts if subject.services else ():
            if host not in (*subject.services, "round-robin", "master-slave", "random"):
                what = f"servers names {host or 'nothing'}, and there is no such service"
                yield Found(rule.where("servers"), what, "clamav:3310", "rspamd")
        for setting in rule.settings:
            if setting.name in SKIPS and setting.value.lower() not in OFF:
                yield Found(setting.place, "some mail is not scanned", f"no {setting.name}", "rspamd")
        longest = seconds(rule.get("timeout", "5"))
        for setting in self._everywhere(subject, "task_timeout"):
            if longest is None or (seconds(setting.value) or 0) <= longest:
                what, should = "rspamd gives up before the scanner answers", f"more than {longest:g} seconds"
                yield Found(setting.place, what, should, "rspamd")

    def _everywhere(self, subject: Configuration, name: str) -> Iterator[Setting]:
        for tree in subject.blocks("ucl", "config/rspamd/"):
            yield from (setting for block in tree.walk() for setting in block.all(name))

    def _around(self, subject: Configuration) -> Iterator[Found]:
        """Look for settings and maps that end the scan for some mail."""
        for block in (each for tree in subject.called("settings.conf") for each in tree.walk()):
            for setting in block.settings:
                if found := LETS_PASS & {setting.name, *setting.value.split()}:
                    what = f"{', '.join(sorted(found))} takes the scan away from some mail"
                    yield Found(setting.place, what, "leave it out", "rspamd")
        for setting in self._everywhere(subject, "action"):
            if setting.value.lower() in ACCEPTS:
                what = f"action {setting.value} lets mail pass without a scan"
                yield Found(setting.place, what, "another action, or a score", "rspamd")

    def _scripts(self, subject: Configuration) -> Iterator[Found]:
        texts = {file: _without_comments(subject.text(file) or "") for file in (*subject.files("lua"), LUA)}
        if not ("register_symbol" in texts[LUA] and PUTS_OFF.search(texts[LUA])):
            what = "mail without a verdict passes"
            yield Found(Place(LUA), what, "a postfilter with a soft reject", "rspamd")
        for file, text in texts.items():
            for matched in UNDOES.finditer(text):
                line = text.count("\n", 0, matched.start()) + 1
                what = f"{' '.join(matched.group().split())} lets mail pass"
                yield Found(Place(file, line), what, "reject and soft reject only", "rspamd")
        yield from recorded.changed(subject, self.rule_id)
        yield from recorded.unknown(subject, "lua", "config/rspamd/")

    def _clamd(self, subject: Configuration) -> Iterator[Found]:
        """Look for kinds of content that clamd is told not to look into."""
        clamd = subject.flat(CLAMD) if CLAMD in subject.known else None
        for name, value in clamd.values.items() if clamd else ():
            if name.startswith("scan") and value.lower() in NO:
                yield Found(clamd.where(name), f"{name} is off", "leave it out", "clamav")


def _without_comments(text: str) -> str:
    """Return a Lua text without its comments, on the same lines."""
    gone = re.compile(r"--\[\[.*?\]\]|--[^\n]*", re.DOTALL)
    return gone.sub(lambda matched: "\n" * matched.group().count("\n"), text)


check = MAIL_CFG_011()
