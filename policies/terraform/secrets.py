"""Which names in Terraform files promise a secret."""

from __future__ import annotations

import re

SECRET = re.compile(r"password|passwd|passphrase|secret|token|private_key|api_?key|credential", re.IGNORECASE)
NOT_SECRET = re.compile(r"_(?:id|ids|arn|arns|name|names|label|path|file|length|days)$", re.IGNORECASE)
NAME = re.compile(r"^[A-Za-z_][\w-]*$")


def is_secret(name: str) -> bool:
    """Tell whether something of this name holds a secret; the id of an access key is none."""
    return bool(NAME.match(name) and SECRET.search(name)) and not NOT_SECRET.search(name)
