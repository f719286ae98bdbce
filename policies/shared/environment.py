"""The variables that a service may have: policies/data/environment.yml."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from policies.shared import tables
from policies.shared.located import mapping
from policies.shared.secrets import is_named

#: Variables that many an image sets for its own programs.
ORDINARY = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "RUBYLIB", "PERL5LIB", "PHPRC")


def never(name: str) -> bool:
    """Tell whether no service of any project may have a variable."""
    return bool(re.fullmatch(re.sub(r"\s", "", tables.table("environment")["never"]), name, re.IGNORECASE))


def wrong(service: str, name: str, value: Any, first: Iterable[Any] = ()) -> tuple[str, str] | None:
    """Return what stands there and what should, or nothing; `first` are tables that count before others."""
    table = tables.table("environment")
    row = table["each"].get(service)
    if row is None:
        return (f"{name} changes what its programs are", "leave it out") if never(name) else None
    rows = [*first, mapping(row).get("needed"), mapping(row).get("may"), table["any"]]
    patterns = (entry for each in rows for entry in mapping(each).items())
    allowed = next((pattern for names, pattern in patterns if re.fullmatch(names, name)), None)
    if allowed is None:
        line = f"a line for it in policies/data/environment.yml: each, {service}, may"
        return f"{name} is not listed for {service}", f"leave it out, or {line}"
    text = "" if value is None else str(value)
    if re.fullmatch(allowed, text, re.IGNORECASE | re.DOTALL):
        return None
    return f"{name} is {'another' if is_named(name) else text or 'empty'}", f"{name}: {allowed}"
