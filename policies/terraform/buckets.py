"""Buckets of a Terraform module, and the resources that configure them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found, Place
from policies.shared.located import sequence
from policies.terraform.blocks import Block, Module
from policies.terraform.values import number

BUCKET = "aws_s3_bucket"
LOCK = "aws_s3_bucket_object_lock_configuration"
#: What a bucket for the state is called where no backend names one.
STATE = re.compile(r"(?:^|[-_/. ])(?:tf)?state(?:$|[-_/. ])")
DAYS_A_YEAR = 365


def buckets(module: Module, with_state: bool = True) -> list[Block]:
    """Return every bucket; `with_state` is false for those that hold backups only."""
    return [each for each in module.resources(BUCKET) if with_state or not holds_state(module, each)]


def holds_state(module: Module, bucket: Block) -> bool:
    """Tell whether a bucket is for Terraform's state, which must stay changeable."""
    if module.states:
        return str(bucket.value("bucket")) in module.states
    return bool(STATE.search(f"{bucket.labels[-1]} {module.folder}"))


def ignored(block: Block, *attributes: str) -> Iterator[Found]:
    """Yield the breach if Terraform would leave a changed setting as it is; any setting if none is named."""
    for lifecycle in block.inner("lifecycle"):
        said = lifecycle.value("ignore_changes")
        names = {str(each).strip("${}").split(".")[0].split("[")[0] for each in [*sequence(said)]}
        if any(name == "all" or not attributes or name in attributes for name in names):
            what = f"changes of {', '.join(sorted(names))} by hand are left as they are"
            place = lifecycle.where("ignore_changes")
            yield Found(place, what, "no ignore_changes here", f"{block.address}/ignore_changes")


def lock_days(module: Module, bucket: Block) -> list[float]:
    """Return how many days the default retention of a bucket lasts, as far as it is known."""
    found = [retention_days(each) for each in module.pointing_at(bucket, "bucket", LOCK)]
    return [days for each in found for value, _ in each if (days := number(value)) is not None]


def retention_days(configuration: Block) -> list[tuple[Any, Place]]:
    """Return the days of a lock's default retention, as far as they are known, with their place."""
    found: list[tuple[Any, Place]] = []
    for retention in configuration.inner("rule", "default_retention"):
        name = "years" if retention.value("years") is not None else "days"
        value = retention.value(name)
        known = number(value)
        days = value if known is None else known * (DAYS_A_YEAR if name == "years" else 1)
        found.append((days, retention.where(name)))
    return found
