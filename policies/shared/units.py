"""Sizes, durations and numbers as Compose and rspamd write them."""

from __future__ import annotations

import math
import re
from typing import Any

SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$", re.IGNORECASE)
UCL_TIME = re.compile(r"^(-?\d+(?:\.\d+)?)(ms|s|min|h|d|w|y|)$", re.IGNORECASE)
UCL_SECONDS = {"": 1, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
UCL_SIZE = re.compile(r"^(\d+(?:\.\d+)?)([kmg]?)(b?)$", re.IGNORECASE)
FACTORS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)")
SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}


def size(value: Any) -> int | None:
    """Return a size in bytes, or None if it is none."""
    matched = (
        SIZE.match(str(value).strip())
        if isinstance(value, (str, int, float)) and not isinstance(value, bool)
        else None
    )
    return int(float(matched[1]) * FACTORS[matched[2].lower()]) if matched else None


def ucl_size(value: str) -> int | None:
    """Return a size as rspamd reads it: k, m and g count in thousands, kb, mb and gb in 1024."""
    matched = UCL_SIZE.match(value.strip())
    if not matched:
        return None
    factor = 1024 if matched[3] else 1000
    return int(float(matched[1]) * factor ** " kmg".index(matched[2].lower() or " "))


def duration(value: Any) -> float | None:
    """Return a duration in seconds, or None if it is none."""
    if not isinstance(value, str) or not value.strip():
        return None
    parts = DURATION.findall(value)
    if "".join(number + unit for number, unit in parts) != value.strip():
        return None
    return sum(float(number) * SECONDS[unit] for number, unit in parts)


def number(value: Any) -> float | None:
    """Return a number, or None if it is none."""
    if isinstance(value, bool):
        return None
    try:
        amount = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) else None


def seconds(value: str) -> float | None:
    """Return a time as rspamd reads it: a number of seconds, or one with a unit up to years."""
    matched = UCL_TIME.match(value.strip())
    return float(matched[1]) * UCL_SECONDS[matched[2].lower()] if matched else None
