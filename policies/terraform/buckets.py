"""Buckets of a Terraform module, and the resources that configure them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found, Place
from policies.shared.located import sequence
from policies.terraform.blocks import Block, Module, number
from policies.terraform.hcl_tokens import Node

BUCKET = "aws_s3_bucket"
LOCK = "aws_s3_bucket_object_lock_configuration"
#: What a bucket for the state is called where no backend names one.
STATE = re.compile(r"(?:^|[-_/. ])(?:tf)?state(?:$|[-_/. ])")
DAYS_A_YEAR = 365


def buckets(module: Module) -> list[Block]:
    """Return every bucket."""
    return module.resources(BUCKET)


def holds_state(module: Module, bucket: Block) -> bool:
    """Tell whether a bucket is for Terraform's state, which must stay changeable.

    A backend of this repository names it, and not that of the module that makes it: nothing can keep its
    state in what it is about to make.
    """
    if module.states:
        named = [str(each.value("bucket")) for each in module.own_backends()]
        return str(bucket.value("bucket")) in module.states - set(named)
    return bool(STATE.search(f"{bucket.labels[-1]} {module.folder}"))


def of_type(module: Module, type: str) -> list[Block]:
    """Return every resource that configures some bucket, this module's or another one's."""
    return module.resources(f"{BUCKET}_{type}")


def configurations(module: Module, bucket: Block, type: str) -> list[Block]:
    """Return the resources of a type that configure a bucket."""
    return module.pointing_at(bucket, "bucket", f"{BUCKET}_{type}")


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Node) and isinstance(other, Node):
        return one.kind == other.kind and _alike(one.parts, other.parts)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return type(one) is type(other) and one == other


def covers(protector: Block, target: Block) -> bool:
    """Tell whether a resource is made for each instance of the one that it protects."""
    if protector.repetition and target.repetition and _alike(protector.repetition, target.repetition):
        return protector.module is target.module or protector.module.sure
    if any(name == target.address for name in protector.references("for_each")):
        return True
    if not protector.sure:
        return not target.sure
    times, needed = protector.scopes(), target.scopes()
    return len(times or ()) >= len(needed or ((),))


def missing(module: Module, bucket: Block, type: str, what: str, inline: str = "") -> Iterator[Found]:
    """Yield the breach if a bucket has no resource of a type, or has its settings inside itself."""
    found = configurations(module, bucket, type)
    should = f"an {BUCKET}_{type} for it"
    if not found:
        yield Found(bucket.place, f"{bucket.address} has {what}", should, bucket.address)
    elif not any(covers(each, bucket) for each in found):
        place = found[0].where("for_each" if found[0].has("for_each") else "count")
        what = f"{bucket.address} has {what}, or not always: this may be made less often than the bucket"
        yield Found(place, what, should, bucket.address)
    for block in bucket.inner(inline) if inline else ():
        what = f"{inline} stands in {bucket.address} itself, where the two overwrite each other"
        yield Found(block.place, what, should, bucket.address)


def ignored(block: Block, *attributes: str) -> Iterator[Found]:
    """Yield the breach if Terraform would leave a changed setting as it is; all settings if none is named."""
    for lifecycle in block.inner("lifecycle"):
        said = lifecycle.value("ignore_changes")
        names = [
            str(each).strip("${}").split(".")[0].split("[")[0]
            for each in [said]
            if not isinstance(said, list)
        ]
        names = names or [str(each).strip("${}").split(".")[0].split("[")[0] for each in sequence(said)]
        names = [name for name in names if name != "None"]
        if any(name == "all" or not attributes or name in attributes for name in names):
            what = f"changes of {', '.join(names)} by hand are left as they are"
            yield Found(lifecycle.where("ignore_changes"), what, "no ignore_changes here", block.address)


def settings(configuration: Block, *path: str) -> list[Block]:
    """Return the inner blocks along a path that are made for certain; the configuration itself if none is."""
    found = [each for each in configuration.inner(*path) if each.sure or not configuration.sure]
    return found or [configuration]


def lock_days(module: Module, bucket: Block) -> list[tuple[object, Place]]:
    """Return how many days the default retention of a bucket lasts, as far as it is known."""
    found = []
    for configuration in configurations(module, bucket, "object_lock_configuration"):
        found += retention_days(configuration)
    return found


def retention_days(configuration: Block) -> list[tuple[object, Place]]:
    """Return the days of a lock's default retention, as far as they are known."""
    found: list[tuple[object, Place]] = []
    for retention in configuration.inner("rule", "default_retention"):
        name = "years" if retention.value("years") is not None else "days"
        value = retention.value(name)
        known = number(value)
        days = value if known is None else known * (DAYS_A_YEAR if name == "years" else 1)
        found.append((days, retention.where(name)))
    return found
