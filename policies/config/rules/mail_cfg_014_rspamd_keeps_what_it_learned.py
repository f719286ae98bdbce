from collections.abc import Iterator

from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.config.settings import Settings
from policies.model import Found, Severity
from policies.shared.units import seconds

FILES = ("classifier-bayes.conf", "statistic.conf")
VALKEY = "config/valkey/valkey.conf"
#: What is forgotten within a month was hardly learned.
SHORTEST = 30 * 86400


class MAIL_CFG_014(ConfigurationRule):
    """What users taught the filter is the one thing in the stack that no update brings back.

    expire = 0 looks like "for ever" and deletes every word at once; a store that evicts any key under
    pressure, or that is in memory only, forgets as well.
    """

    name = (
        "rspamd keeps what it learned: expire is not 0, valkey writes to disk and evicts "
        "only keys with an end"
    )
    severity = Severity.MEDIUM
    fix = "Set expire = 8640000 or -1, appendonly yes and maxmemory-policy volatile-lru or noeviction"
    bad = "expire = 0;\n"
    good = "expire = 8640000;\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the classifier, then at its store."""
        for name in FILES:
            for tree in subject.called(name):
                for block in tree.walk():
                    yield from self._expire(block)
        stores = subject.in_force(VALKEY, "valkey")
        yield from dict.fromkeys(found for store in stores for found in self._store(store))

    def _expire(self, block: Block) -> Iterator[Found]:
        for setting in block.all("expire"):
            lasts = seconds(setting.value)
            if lasts is None or 0 <= lasts < SHORTEST:
                what = f"learned words are deleted after {setting.value}"
                yield Found(setting.place, what, "expire = 8640000", "rspamd")

    def _store(self, store: Settings) -> Iterator[Found]:
        if store.get("appendonly").lower() != "yes":
            what = "what was learned is in memory only"
            yield Found(store.where("appendonly"), what, "appendonly yes", "valkey")
        policy = store.get("maxmemory-policy", "noeviction").lower()
        if not policy.startswith(("volatile", "noeviction")):
            what = f"{policy} drops what was learned"
            yield Found(store.where("maxmemory-policy"), what, "volatile-lru", "valkey")


check = MAIL_CFG_014()
