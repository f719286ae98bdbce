"""The tables in policies/data: decisions that rules read instead of holding them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent.parent / "data"


@lru_cache(maxsize=32)
def table(name: str) -> dict[str, Any]:
    """Return policies/data/<name>.yml."""
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8")) or {}


def service(name: str) -> dict[str, Any]:
    """Return what a service may have; an unknown one may have nothing special."""
    return table("services").get(name) or {}
