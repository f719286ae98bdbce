"""MAIL_TF_021: secrets marked."""

import re
from collections.abc import Iterator

from policies.model import Found
from policies.terraform.blocks import Module
from policies.terraform.values import yes

SECRET = re.compile(r"password|passwd|passphrase|secret|token|private_key|api_?key|credential", re.IGNORECASE)
#: The id of an access key, or the path of a password, is no secret.
NOT_SECRET = re.compile(r"_(?:id|ids|arn|arns|name|names|label|path|file|length|days)$", re.IGNORECASE)


def check(subject: Module) -> Iterator[Found]:
    """Look at variables and outputs by their names; Terraform itself follows the values of marked ones."""
    for block in [*subject.all("variable"), *subject.all("output")]:
        name = block.labels[0] if block.labels else ""
        secret = bool(SECRET.search(name)) and not NOT_SECRET.search(name)
        if secret and isinstance(default := block.value("default"), str) and default:
            what = f"{block.address} has a secret as its default"
            yield Found(block.where("default"), what, "no default", f"{block.address}/default")
        if secret and not yes(block.value("sensitive")):
            where = block.where("sensitive")
            yield Found(where, f"{block.address} is printed", "sensitive = true", block.address)
