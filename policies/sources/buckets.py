"""Buckets of a Terraform module, and the resources that configure them."""

from __future__ import annotations

from collections.abc import Iterator

from policies.model import Found, Place
from policies.sources.terraform import Block, Module

BUCKET = "aws_s3_bucket"
LOCK = "aws_s3_bucket_object_lock_configuration"


def buckets(module: Module) -> list[Block]:
    """Return every bucket."""
    return module.resources(BUCKET)


def holds_state(module: Module, bucket: Block) -> bool:
    """Tell whether a bucket is for Terraform's state, which must stay changeable."""
    return "state" in f"{bucket.labels[-1]} {module.folder}"


def configurations(module: Module, bucket: Block, type: str) -> list[Block]:
    """Return the resources of a type that configure a bucket."""
    return module.pointing_at(bucket, "bucket", f"{BUCKET}_{type}")


def missing(module: Module, bucket: Block, type: str, what: str) -> Iterator[Found]:
    """Yield the breach if a bucket has no resource of a type."""
    if not configurations(module, bucket, type):
        yield Found(
            bucket.place, f"{bucket.address} has {what}", f"an {BUCKET}_{type} for it", bucket.address
        )


def lock_days(module: Module, bucket: Block) -> list[tuple[object, Place]]:
    """Return how many days the default retention of a bucket lasts, as far as it is known."""
    found: list[tuple[object, Place]] = []
    for configuration in configurations(module, bucket, "object_lock_configuration"):
        for retention in configuration.inner("rule", "default_retention"):
            if retention.has("years"):
                years = retention.value("years")
                found.append((years * 365 if isinstance(years, int) else years, retention.where("years")))
            else:
                found.append((retention.value("days"), retention.where("days")))
    return found
