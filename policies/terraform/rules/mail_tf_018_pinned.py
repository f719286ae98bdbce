"""MAIL_TF_018: providers pinned."""

import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found
from policies.shared.located import mapping, where
from policies.terraform.blocks import Block, Module

EXACT = re.compile(r"^=?\s*v?\d+\.\d+\.\d+$")
MINOR = re.compile(r"^~>\s*v?\d+\.\d+(?:\.\d+)?$")
UPPER = re.compile(r"^<=?\s*v?(?P<major>\d+)(?:\.\d+)*$")
LOWER = re.compile(r"^>=?\s*v?(?P<major>\d+)(?:\.\d+)*$")
#: Part of Terraform itself.
BUILT_IN = "terraform"


def bounded(constraint: Any) -> bool:
    """Tell whether a version constraint keeps the next but one major version out."""
    parts = [part.strip() for part in str(constraint or "").split(",")]
    if any(EXACT.match(part) or MINOR.match(part) for part in parts):
        return True
    upper = [int(found["major"]) for part in parts if (found := UPPER.match(part))]
    lower = [int(found["major"]) for part in parts if (found := LOWER.match(part))]
    return bool(upper and lower) and min(upper) - max(lower) <= 1


def check(subject: Module) -> Iterator[Found]:
    """Look at the settings of Terraform, and at the providers in use."""
    settings = [each for each in subject.own if each.type == "terraform"]
    versions = [each for each in settings if each.has("required_version")]
    if not versions:
        place = settings[0].place if settings else subject.place
        entity = f"{subject.folder}/required_version"
        yield Found(place, "any Terraform will do", "required_version with an upper bound", entity)
    for each in versions:
        if not bounded(each.value("required_version")):
            what, place = (
                f"Terraform {each.value('required_version')} will do",
                each.where("required_version"),
            )
            yield Found(place, what, ">= 1.9.0, < 2.0.0", f"{subject.folder}/required_version")
    yield from _providers(subject, settings)


def _providers(module: Module, settings: list[Block]) -> Iterator[Found]:
    named = {BUILT_IN}
    for block in (inner for each in settings for inner in each.inner("required_providers")):
        for name in block.attributes:
            named.add(name)
            entry = block.value(name)
            version = mapping(entry).get("version")
            if not bounded(version):
                at = where(entry, "version") if hasattr(entry, "places") else block.where(name)
                yield Found(at, f"{name} is {version}", '"~> 6.25" or exact', f"provider.{name}/version")
    used: dict[str, Block] = {}
    for block in module.blocks:
        if block.type in ("resource", "data", "provider") and block.labels:
            used.setdefault(block.labels[0].partition("_")[0], block)
    for name, block in used.items():
        if name not in named:
            what = f"the provider {name} is not pinned"
            yield Found(block.place, what, "an entry in required_providers", f"provider.{name}")
