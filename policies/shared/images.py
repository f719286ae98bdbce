"""Names of container images."""

from __future__ import annotations

import re
from typing import Any

#: A registry has a dot, a port or the name localhost; a variable may be one: the digest says what comes.
REGISTRY = r"(?:(?:\$\{\w+\}|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|localhost|[A-Za-z0-9.-]+(?=:\d))(?::\d+)?/)?"
IMAGE = re.compile(
    rf"^{REGISTRY}(?P<name>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$"
)
#: Tags that name no version, and the one word that no part of a tag may be.
MOVING = re.compile(
    r"^(?:stable|edge|main|master|nightly|dev|rolling|current|mainline|lts)$|(?:^|[._-])latest(?:$|[._-])",
    re.IGNORECASE,
)


def complaint(image: Any) -> str:
    """Say what keeps an image from being pinned by tag and digest; nothing if it is."""
    if not isinstance(image, str) or not image.strip():
        return "there is no image"
    matched = IMAGE.match(image)
    if not matched:
        return f"{image} is no image name with tag and digest"
    if not matched["tag"]:
        return f"{image} has no tag"
    if MOVING.search(matched["tag"]):
        return f"{image} has the moving tag {matched['tag']}"
    return "" if matched["digest"] else f"{image} has no digest"
