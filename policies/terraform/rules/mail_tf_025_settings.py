from collections.abc import Iterator
from typing import Any

from policies.model import Found, Severity
from policies.shared.tables import table
from policies.terraform.blocks import Block, Module, Unknown
from policies.terraform.rule import TerraformRule

#: Off, or as good as not there.
NOTHING = (None, False, "false", "", [], {})
#: A text in one of these is a secret in a file, which another rule reports.
KEYS = ("access_key", "secret_key", "token")


def _of_another_rule(name: str, value: Any) -> bool:
    """Tell whether rules about secrets and about the state's way report a setting already."""
    if name in KEYS:
        return not isinstance(value, Unknown)
    return name in ("endpoint", "endpoints") and "http://" in str(value)


class MAIL_TF_025(TerraformRule):
    """A provider sends the account's credentials, and a backend the state, to whatever server it is told.

    An endpoint, a proxy or a certificate of others reads both; with insecure anybody on the way does. A role
    or profile makes everything in another account, where no rule of ours holds.
    """

    name = "Straight to AWS: no endpoint, proxy, role, profile, key or skipped check in provider and backend"
    severity = Severity.CRITICAL
    fix = "Remove the setting; credentials come from the environment, and what is reached is AWS"
    resources = ("*",)
    bad = 'provider "aws" {\n  insecure = true\n\n  endpoints {\n    s3 = "https://example.com"\n  }\n}\n'
    good = 'provider "aws" {\n  region = var.aws_region\n}\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every provider, and at backends with the files that complete them."""
        for provider in subject.all("provider"):
            yield from self._block(provider, "provider")
        for backend in subject.own_backends():
            if backend.labels == ("s3",):
                yield from self._block(backend, "backend")

    def _block(self, block: Block, kind: str) -> Iterator[Found]:
        known = table("terraform")["settings"][kind]
        said = {name: block.value(name) for name in block.attributes}
        said |= {inner.type: inner.type for inner in block.blocks}
        for name, value in said.items():
            if name not in known and value not in NOTHING and not _of_another_rule(name, value):
                should = "one of settings in policies/data/terraform.yml"
                yield Found(block.where(name), f"the {kind} has {name}", should, block.address)


check = MAIL_TF_025()
