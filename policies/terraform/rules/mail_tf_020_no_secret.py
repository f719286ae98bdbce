from collections.abc import Iterator
from typing import Any

from policies.model import Found, Place, Severity
from policies.shared.located import sequence, where
from policies.shared.secrets import complaint
from policies.terraform.blocks import Block, Module, Partial
from policies.terraform.functions import Json
from policies.terraform.rule import TerraformRule
from policies.terraform.secrets import is_secret

#: What these blocks hold is for people, or names of things.
PROSE = (
    "description",
    "error_message",
    "condition",
    "sensitive",
    "nullable",
    "type",
    "depends_on",
    "ignore_changes",
)


def _leaves(name: str, value: Any, place: Place) -> Iterator[tuple[str, Any, Place]]:
    if isinstance(value, Json):
        value = value.value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(str(key), inner, where(value, key) if hasattr(value, "places") else place)
    elif isinstance(value, list):
        for each in sequence(value):
            yield from _leaves(name, each, place)
    elif isinstance(value, Partial):
        yield "", value, place  # the name would not do: the secret may be the unknown piece
    elif isinstance(value, str):
        yield name, value, place


class MAIL_TF_020(TerraformRule):
    """What stands in a .tf or .tfvars file is in git for ever, and in the state as well.

    Deleting the line does not help: whoever once cloned the repository has the key, and it must be changed.
    """

    name = "No secret in Terraform files: no password, key or token as default, in tfvars or as an argument"
    severity = Severity.CRITICAL
    fix = (
        "Give it by TF_VAR_… from a secret store, or let Terraform make it; change the one that was committed"
    )
    resources = ("*",)
    bad = 'variable "relay_password" {\n  default = "hunter2hunter2"\n}\n'
    good = 'variable "relay_password" {\n  type      = string\n  sensitive = true\n}\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every text of every block, and at the values in tracked tfvars."""
        for name, (node, place) in subject.given.items():
            value = subject.evaluator.value(node, place.file)
            yield from self._texts(name, value, place, f"var.{name}")
        for block in [*subject.blocks, *subject.settings, *subject.written_down]:
            yield from self._block(block, block.address)

    def _block(self, block: Block, entity: str) -> Iterator[Found]:
        for name in block.attributes:
            if name not in PROSE:
                # A default is named by its variable, a value by its output.
                named = block.labels[-1] if block.type in ("variable", "output") and block.labels else name
                yield from self._texts(named, block.value(name), block.where(name), entity)
        for inner in block.blocks:
            if inner.type not in ("validation", "postcondition", "precondition"):
                yield from self._block(inner, entity)

    def _texts(self, name: str, value: Any, place: Place, entity: str) -> Iterator[Found]:
        for key, text, at in _leaves(name, value, place):
            if found := complaint(key if is_secret(key) else "", text):
                yield Found(at, f"{key or name} is {found}", "no secret in a file", entity)


check = MAIL_TF_020()
