"""How much a mailbox may store: people say 500M or 2G, the database counts bytes."""

from __future__ import annotations

import re

from usermgmt.problems import Problem, Refused

UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
# `10,000M` is ten million to some and ten to others.
AMBIGUOUS = re.compile(r"\d{1,3}(?:[.,]\d{3})+\s*[KMGT]?(?:I?B)?", re.ASCII)
FORM = re.compile(r"(\d{1,15})(?:[.,](\d{1,6}))?\s*([KMGT]?)(?:I?B)?", re.ASCII)
SMALLEST = 10 * UNITS["M"]
LARGEST = 10 * UNITS["T"]
DEFAULT = "1G"


def parse_quota(value: str, field: str = "quota") -> int:
    """Bytes of `500M`, `1.5 GB` or `2GiB`, in powers of 1024; raises Refused outside 10 MiB to 10 TiB."""
    text = value.strip().upper()
    if AMBIGUOUS.fullmatch(text):
        raise Refused(
            Problem(
                field,
                value,
                "This can be read in two ways.",
                "Leave out what separates thousands: 10000M, or 10G.",
            )
        )
    match = FORM.fullmatch(text)
    if not match:
        raise Refused(
            Problem(field, value, "This is not a size.", "Use a number and a unit: 500M, 2G or 1.5T.")
        )
    whole, fraction, unit = match.groups()
    scale = UNITS[unit]
    size = int(whole) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)
    if not SMALLEST <= size <= LARGEST:
        wrong = (
            "This is smaller than one mail may be."
            if size < SMALLEST
            else "This is more than can be counted on."
        )
        raise Refused(Problem(field, value, wrong, "Use a size from 10M to 10T."))
    return size


def format_size(size: int) -> str:
    """About how much a number of bytes is: `1.2G`."""
    unit = next((each for each in ("T", "G", "M") if size >= UNITS[each]), "K")
    return f"{size / UNITS[unit]:.1f}".removesuffix(".0") + unit


def format_quota(size: int) -> str:
    """A short exact form of a number of bytes: parse_quota gives the same number back."""
    for unit in ("T", "G", "M", "K"):
        hundredths, rest = divmod(size * 100, UNITS[unit])
        if rest == 0 and hundredths >= 100:
            return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".") + unit
    return str(size)
