"""MAIL_CFG_007: sizes agree."""

import re
from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.model import Found, Place
from policies.shared.values import amount

#: What the edge accepts, in bytes.
INBOUND = 25 * 1024 * 1024
CLAMD = "config/clamav/clamd.conf"
#: Each limit of clamd, and whether it must be written out.
LIMITS = (("StreamMaxLength", True), ("MaxScanSize", False), ("MaxFileSize", False))
#: Each limit of rspamd, and its file.
RSPAMD = (("max_size", "antivirus.conf"), ("max_message", "options.inc"))


def check(subject: Configuration) -> Iterator[Found]:
    """Compare the files as far as they are there."""
    accepted, name = INBOUND, "message_size_limit"
    for who, view in subject.views():
        size = int(amount(view.expanded(name, "10240000")) or 0)
        accepted = max(accepted, size)
        if size < INBOUND and (who == "main.cf" or view.where(name).file.endswith("master.cf")):
            yield _found(view.where(name), name, str(size), INBOUND, f"postfix/{who}")
    for name, file in RSPAMD:
        for block in (each for tree in subject.called(file) for each in tree.walk()):
            for setting in block.all(name):
                if _bytes(setting.value) < accepted:
                    yield _found(setting.place, name, setting.value, accepted, "rspamd")
    clamd = subject.flat(CLAMD) if CLAMD in subject.kinds else None
    for name, needed in LIMITS if clamd else ():
        given = clamd.get(name.lower())
        if (given or needed) and not (given == "0" and not needed) and (amount(given, "b") or 0) < accepted:
            yield _found(clamd.where(name.lower()), name, given, accepted, "clamav")


def _bytes(written: str) -> int:
    """Return a size as rspamd reads it: k, m and g count in thousands, kb, mb and gb in 1024."""
    matched = re.fullmatch(r"(\d+)([kmg]?)(b?)", written.strip().lower())
    return (
        int(matched[1]) * (1024 if matched[3] else 1000) ** " kmg".index(matched[2] or " ") if matched else 0
    )


def _found(place: Place, name: str, value: str, least: int, owner: str) -> Found:
    return Found(place, f"{name} is {value or 'not set'}", f"at least {least}", f"{owner}/{name}")
