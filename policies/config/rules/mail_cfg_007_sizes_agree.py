from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.shared.units import ucl_size
from policies.shared.values import amount

#: What the edge accepts, in bytes.
INBOUND = 25 * 1024 * 1024
CLAMD = "config/clamav/clamd.conf"
#: Each limit of clamd, and whether it must be written out.
LIMITS = (("StreamMaxLength", True), ("MaxScanSize", False), ("MaxFileSize", False))
#: Each limit of rspamd, and its file.
RSPAMD = (("max_size", "antivirus.conf"), ("max_message", "options.inc"))


class MAIL_CFG_007(ConfigurationRule):
    """A mail of 25 MiB that the edge accepted must pass every station, and be scanned as a whole.

    If Postfix takes less, large mail bounces; if the scanner takes less than Postfix, a virus behind 25 MiB
    of filling is never looked at, or the mail is deferred for ever. Zero means no limit, and one mail fills
    the disk.
    """

    name = "Sizes agree: 25 MiB ≤ message_size_limit ≤ max_size of rspamd and StreamMaxLength of clamd"
    severity = Severity.HIGH
    fix = "Raise the scanner's limits above message_size_limit, and keep that at 25 MiB or more, but not 0"
    bad = "message_size_limit = 0\n"
    good = "message_size_limit = 27262976\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Compare the files as far as they are there."""
        accepted, name = INBOUND, "message_size_limit"
        for who, view in subject.views():
            size = int(amount(view.expanded(name, "10240000")) or 0)
            accepted = max(accepted, size)
            if size < INBOUND and (who == "main.cf" or view.where(name).file.endswith("master.cf")):
                yield self._found(view.where(name), name, str(size), INBOUND, f"postfix/{who}")
        for name, file in RSPAMD:
            for block in (each for tree in subject.called(file) for each in tree.walk()):
                for setting in block.all(name):
                    if (ucl_size(setting.value) or 0) < accepted:
                        yield self._found(setting.place, name, setting.value, accepted, "rspamd")
        clamd = subject.flat(CLAMD) if CLAMD in subject.kinds else None
        for name, needed in LIMITS if clamd else ():
            given = clamd.get(name.lower())
            if (
                (given or needed)
                and not (given == "0" and not needed)
                and (amount(given, "b") or 0) < accepted
            ):
                yield self._found(clamd.where(name.lower()), name, given, accepted, "clamav")

    def _found(self, place: Place, name: str, value: str, least: int, owner: str) -> Found:
        return Found(place, f"{name} is {value or 'not set'}", f"at least {least}", f"{owner}/{name}")


check = MAIL_CFG_007()
