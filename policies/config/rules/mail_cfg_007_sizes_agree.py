from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity
from policies.shared.units import number, size, ucl_size

#: What the edge accepts, in bytes.
INBOUND = 25 * 1024 * 1024
CLAMD = "config/clamav/clamd.conf"
#: Each limit of clamd, and whether it must be written out.
LIMITS = (("StreamMaxLength", True), ("MaxScanSize", False), ("MaxFileSize", False))


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
        """Compare the files as far as they are there."""
        accepted = INBOUND
        if subject.postfix_main is not None:
            seen = set()
            for who, view in subject.views():
                where = view.where("message_size_limit")
                value = int(number(view.expanded("message_size_limit", "10240000")) or 0)
                accepted = max(accepted, value)
                if value < INBOUND and where not in seen:
                    seen.add(where)
                    what = f"{who}: message_size_limit is {value}"
                    yield Found(where, what, f"at least {INBOUND}", "postfix")
        yield from self._rspamd(subject, accepted)
        yield from self._clamd(subject, accepted)

    def _rspamd(self, subject: Configuration, accepted: int) -> Iterator[Found]:
        """Look at the rule's limit, which is none if nothing is written, and at that of rspamd itself."""
        blocks = [(block, "max_size") for tree in subject.called("antivirus.conf") for block in tree.walk()]
        blocks += [(tree, "max_message") for tree in subject.called("options.inc")]
        for block, name in blocks:
            for setting in block.all(name):
                if (ucl_size(setting.value) or 0) < accepted:
                    yield Found(setting.place, f"{name} is {setting.value}", f"at least {accepted}", "rspamd")

    def _clamd(self, subject: Configuration, accepted: int) -> Iterator[Found]:
        clamd = subject.flat(CLAMD) if CLAMD in subject.known else None
        for name, needed in LIMITS if clamd else ():
            given = clamd.get(name.lower())
            unlimited = given == "0" and not needed
            if (given or needed) and not unlimited and (size(given) or 0) < accepted:
                what = f"{name} is {given or 'not set'}"
                yield Found(clamd.where(name.lower()), what, f"at least {accepted}", "clamav")


check = MAIL_CFG_007()
