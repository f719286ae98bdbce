"""What a value must be: the words for it that the tables of Compose and of the services' settings share.

`only` is a pattern that fits the whole value, `never` one that fits no part of it, `least` and `most` are
bounds of an amount (`unit`: what a bare number means, `b` bytes or `s` seconds, and so on; without one it
has none), `tls: true` asks for TLS 1.2, `pinned: true` for an image with tag and digest.
"""

from __future__ import annotations

import math
import re
from typing import Any

from policies.shared.images import complaint

#: All words of this module.
WORDS = frozenset({"only", "never", "least", "most", "unit", "tls", "pinned"})
PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµ]*)\s*", re.IGNORECASE)
SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
TIMES = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
#: Longer names of the same units.
LONG = {"msec": "ms", "sec": "s", "secs": "s", "min": "m", "mins": "m", "hour": "h", "day": "d", "week": "w"}
#: Versions of TLS by name and by number, and what excludes all older ones.
NEW_TLS = ("tlsv1.2", "tlsv1.3", "0303", "0304", "latest")
NO_OLD_TLS = {"!sslv3", "!tlsv1", "!tlsv1.1"}


def text(value: Any) -> str:
    """Return a value as files write it; a list as its words."""
    if isinstance(value, list):
        return " ".join(map(text, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value).strip()


def amount(value: Any, unit: str = "") -> float | None:
    """Return an amount in bytes, in seconds or as it is; None if it is none. `unit`: of a bare number."""
    written = text(value)
    sign, written = (-1, written[1:]) if written.startswith("-") else (1, written)
    parts = PART.findall(written)
    if not parts or PART.sub("", written):
        return None
    total = 0.0
    for number, name in parts:
        factor = _factor(name.lower(), unit)
        if factor is None:
            return None
        total += float(number) * factor
    return sign * total


def _factor(name: str, unit: str) -> float | None:
    if unit == "b":
        return SIZES.get(name[:1] if name in ("", *SIZES) or name[1:] in ("b", "ib", "bytes") else name)
    name = name or unit
    return TIMES.get(LONG.get(name, LONG.get(name.removesuffix("s"), name))) if name else 1


def size(amount: float) -> str:
    """Return an amount of bytes as policy.yml writes it, rounded up to whole kilobytes."""
    unit = next((each for each in "gm" if amount % SIZES[each] == 0), "k")
    return f"{math.ceil(amount / SIZES[unit])}{unit.upper()}"


def is_modern(protocols: str) -> bool:
    """Tell whether a list of protocols begins at TLS 1.2."""
    words = re.split(r"[,\s]+", re.sub(r">=\s*", ">=", protocols.lower()).strip())
    named = [word for word in words if word and word[0] not in "!<>"]
    floor = any(word.removeprefix(">=") in NEW_TLS for word in words if word.startswith(">="))
    return floor or set(words) >= NO_OLD_TLS or bool(named and all(word in NEW_TLS for word in named))


def wrong(value: Any, row: dict[str, Any], raw: str = "") -> bool:
    """Tell whether a value breaks a row; `raw` is the value before anything in it was replaced."""
    written = text(value)
    if "only" in row and not re.fullmatch(str(row["only"]), written, re.IGNORECASE | re.DOTALL):
        return True
    if "never" in row:
        forms = {written, raw or written}
        if any(re.search(str(row["never"]), each, re.IGNORECASE | re.MULTILINE) for each in forms):
            return True
    if (row.get("tls") and not is_modern(written)) or (row.get("pinned") and complaint(value)):
        return True
    if "least" not in row and "most" not in row:
        return False
    given = amount(value, str(row.get("unit", "")))
    return given is None or not row.get("least", given) <= given <= row.get("most", given)
