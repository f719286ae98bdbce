from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

FILE = "config/clamav/clamd.conf"


class MAIL_CFG_015(ConfigurationRule):
    """During a reload clamd holds two copies of its signatures unless it is told not to: twice 1.2 GiB.

    That is more than its limit, so the kernel kills it several times a day, and mail is put off until it is
    back.
    """

    name = "clamd fits into its memory: ConcurrentDatabaseReload no, and no scan without an end"
    severity = Severity.MEDIUM
    fix = "Write ConcurrentDatabaseReload no, and MaxScanTime below the 60 seconds that rspamd waits"
    bad = "ConcurrentDatabaseReload yes\n"
    good = "ConcurrentDatabaseReload no\nMaxScanTime 30000\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at both, if ClamAV is part of the stack."""
        clamd = subject.flat(FILE) if FILE in subject.known else None
        if clamd is None:
            return
        reload_ = clamd.get("concurrentdatabasereload", "yes")
        if reload_.lower() not in ("no", "false", "0"):
            where = clamd.where("concurrentdatabasereload")
            yield Found(
                where, f"ConcurrentDatabaseReload is {reload_}", "ConcurrentDatabaseReload no", "clamav"
            )
        longest = clamd.get("maxscantime", "120000")
        if not longest.isdigit() or not 0 < int(longest) <= 50000:
            yield Found(
                clamd.where("maxscantime"), f"a scan may take {longest} ms", "MaxScanTime 30000", "clamav"
            )


check = MAIL_CFG_015()
