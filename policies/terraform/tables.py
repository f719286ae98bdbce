"""The gate's own tables about Terraform, completed by what policy.yml says."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from policies.shared.rule import read
from policies.terraform.blocks import Module

HERE = Path(__file__).parent


@lru_cache(maxsize=4)
def table(name: str) -> dict[str, Any]:
    """Return policies/terraform/<name>.yml."""
    return read(HERE / f"{name}.yml")


def actions(module: Module, address: str) -> set[str]:
    """Return what a policy may allow, in small letters as IAM does not mind the case."""
    known = table("iam").get(address) or table("iam")["host"]
    return {each.lower() for each in (*known, *module.policy.values("terraform", "actions", address))}


def types(module: Module, kind: str) -> set[str]:
    """Return the types of resources or data sources that may be used."""
    return {*table("tables")["types"].get(kind, ()), *module.policy.values("terraform", "types")}


def trusted(module: Module, kind: str) -> set[str]:
    """Return who or what is trusted: `kind` is accounts, services, issuers, audiences or subjects."""
    return {str(each) for each in (*table("tables")[kind], *module.policy.values("terraform", kind))}
