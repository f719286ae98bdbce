from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration
from policies.sources.units import number

FILE = "config/rspamd/local.d/classifier-bayes.conf"
VALKEY = "config/valkey/valkey.conf"


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
        tree = subject.block(FILE)
        for setting in tree.all("expire") if tree else ():
            if number(setting.value) == 0:
                yield Found(
                    setting.place, "every learned word is deleted at once", "expire = 8640000", "rspamd"
                )
        store = subject.flat(VALKEY) if VALKEY in subject.known else None
        if store is None:
            return
        if store.get("appendonly") != "yes":
            yield Found(
                store.where("appendonly"), "what was learned is in memory only", "appendonly yes", "valkey"
            )
        policy = store.get("maxmemory-policy", "noeviction")
        if policy.startswith("allkeys"):
            yield Found(
                store.where("maxmemory-policy"), f"{policy} drops what was learned", "volatile-lru", "valkey"
            )


check = MAIL_CFG_014()
