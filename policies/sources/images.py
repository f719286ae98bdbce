"""Names of container images."""

from __future__ import annotations

import re
from typing import Any

IMAGE = re.compile(
    r"^(?P<name>[a-z0-9][\w.-]*(?::\d+)?(?:/[\w.-]+)*)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?$"
)
#: Tags that name no version.
MOVING = {"latest", "stable", "edge", "main", "master", "nightly", "dev", "rolling", "current"}


def complaint(image: Any) -> str:
    """Say what keeps an image from being pinned by tag and digest; nothing if it is."""
    if not isinstance(image, str) or not image.strip():
        return "there is no image"
    matched = IMAGE.match(image)
    if not matched:
        return f"{image} is no image name with tag and digest"
    if not matched["tag"]:
        return f"{image} has no tag"
    if matched["tag"].lower() in MOVING:
        return f"{image} has the moving tag {matched['tag']}"
    return "" if matched["digest"] else f"{image} has no digest"
