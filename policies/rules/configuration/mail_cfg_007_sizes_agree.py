from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Severity
from policies.sources.configuration import Configuration
from policies.sources.units import number, size

#: What the edge accepts, in bytes.
INBOUND = 25 * 1024 * 1024
ANTIVIRUS, CLAMD = "config/rspamd/local.d/antivirus.conf", "config/clamav/clamd.conf"


class MAIL_CFG_007(ConfigurationRule):
    """A mail of 25 MiB that the edge accepted must pass every station, and be scanned as a whole.

    If Postfix takes less, large mail bounces; if the scanner takes less than Postfix, a virus behind 25 MiB
    of filling is never looked at, or the mail is put off for ever. Nought means no limit, and one mail fills
    the disk.
    """

    name = (
        "Sizes agree: 25 MiB ≤ message_size_limit ≤ max_size of rspamd's antivirus and "
        "StreamMaxLength of clamd"
    )
    severity = Severity.HIGH
    fix = "Raise the scanner's limits above message_size_limit, and keep that at 25 MiB or more, but not 0"
    bad = "message_size_limit = 0\n"
    good = "message_size_limit = 27262976\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Compare the three files as far as they are there."""
        main, accepted = subject.postfix_main, INBOUND
        if main is not None:
            value = number(main.expanded("message_size_limit", "10240000")) or 0
            if value < INBOUND:
                what = f"message_size_limit is {int(value)}"
                yield Found(main.where("message_size_limit"), what, f"at least {INBOUND}", "postfix")
            accepted = max(accepted, int(value))
        tree = subject.block(ANTIVIRUS)
        for block in tree.inner("clamav") if tree else ():
            if (size(block.get("max_size")) or 0) < accepted:
                what = f"max_size is {block.get('max_size') or 'not set'}"
                yield Found(block.where("max_size"), what, f"at least {accepted}", "rspamd")
        clamd = subject.flat(CLAMD) if CLAMD in subject.known else None
        if clamd is not None:
            for name, needed in (("StreamMaxLength", True), ("MaxScanSize", False), ("MaxFileSize", False)):
                given = clamd.get(name.lower())
                amount = size(given)
                unlimited = given == "0" and not needed
                if (given or needed) and not unlimited and (amount or 0) < accepted:
                    what = f"{name} is {given or 'not set'}"
                    yield Found(clamd.where(name.lower()), what, f"at least {accepted}", "clamav")


check = MAIL_CFG_007()
