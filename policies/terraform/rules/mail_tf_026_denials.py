from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from policies.model import Found, Severity
from policies.shared.located import mapping, sequence
from policies.shared.tables import table
from policies.terraform.blocks import Block, Module, number
from policies.terraform.iam import Statement, is_named, plain_address, reaches, statements
from policies.terraform.rule import TerraformRule

Condition = dict[str, dict[str, list[str]]]


def _condition(module: Module, data: Any) -> Condition:
    """Return a condition in one shape, as IAM reads it: names in any case, values as texts in any order."""
    return {
        str(test).lower(): {
            str(key).lower(): sorted(_text(module, each) for each in sequence(value))
            for key, value in mapping(asked).items()
        }
        for test, asked in mapping(data).items()
    }


def _text(module: Module, value: Any) -> str:
    known = module.evaluator.named(value) if isinstance(value, str) and value.startswith("var.") else value
    return str(known).lower() if isinstance(known, bool) else str(known)


def _asks(there: Condition, wanted: Condition) -> bool:
    """Tell whether a condition is the wanted one; a higher number below which it refuses is as good."""
    if there == wanted:
        return True
    pairs = [
        [(test, key, values) for test, keys in each.items() for key, values in keys.items()]
        for each in (there, wanted)
    ]
    if [len(each) for each in pairs] != [1, 1] or pairs[0][0][:2] != pairs[1][0][:2]:
        return False
    test, _, values = pairs[0][0]
    amounts = [number(each[0]) if len(each) == 1 else None for each in (values, pairs[1][0][2])]
    return test == "numericlessthan" and None not in amounts and amounts[0] >= amounts[1]  # type: ignore[operator]


def _acts(statement: Statement, action: str) -> bool:
    name = action.lower()
    if "NotAction" in statement.data:
        left_out = [str(each).lower() for each, _ in statement.values("NotAction")]
        # A pattern may be left out in part: it counts only if nothing that is left out looks like it.
        return not any(fnmatchcase(name, each) or fnmatchcase(each, name) for each in left_out)
    return any(fnmatchcase(name, str(each).lower()) for each, _ in statement.values("Action"))


def _on(statement: Statement, target: str, blocks: dict[str, Block]) -> bool:
    resources = [each for each, _ in statement.values("Resource")]
    if "*" in resources:
        return True
    address, slash, rest = target.partition("/")
    block = blocks.get(address)
    if block is None:
        return target != "*"  # there is nothing that could be touched
    if block.labels[0] == "aws_s3_bucket":
        return any(reaches(each, block, slash + rest) for each in resources)
    return any(is_named(each, block) for each in resources)


class MAIL_TF_026(TerraformRule):
    """A Deny beats every Allow, today's and tomorrow's: it is what holds when some other policy is wrong.

    Taken out, or narrowed by a condition that never comes true, nothing looks different until it is needed.
    """

    name = "Refusals stand: each Deny of policies/data/terraform.yml is there, for everybody, no narrower"
    severity = Severity.HIGH
    fix = "Put the Deny back as policies/data/terraform.yml has it, without one more condition"
    resources = ("aws_s3_bucket_policy", "aws_iam_policy", "aws_iam_role_policy")
    bad = (
        'Effect    = "Deny"\nPrincipal = "*"\nAction    = "s3:BypassGovernanceRetention"\n'
        'Condition = { Bool = { "aws:SecureTransport" = "maybe" } }\n'
    )
    good = 'Effect    = "Deny"\nPrincipal = "*"\nAction    = "s3:BypassGovernanceRetention"\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every policy that must refuse something."""
        said = list(statements(subject))
        blocks = {plain_address(each.address): each for each in subject.blocks if each.type == "resource"}
        for policy in blocks.values():
            own = [each for each in said if each.block is policy]
            for wanted in table("terraform")["denials"].get(plain_address(policy.address), ()):
                denials = [each for each in own if self._counts(subject, each, wanted)]
                missing = [
                    action
                    for action in wanted["actions"]
                    for target in wanted["at"]
                    if not any(_acts(each, action) and _on(each, target, blocks) for each in denials)
                    # What nobody may be allowed anywhere is reported where it is allowed.
                    and not (target == "*" and any(each.allows and _acts(each, action) for each in own))
                ]
                if missing:
                    actions = ", ".join(dict.fromkeys(missing))
                    what = f"{policy.address} does not refuse {wanted['what']}: {actions}"
                    should = f"a Deny on {', '.join(wanted['at'])} as in policies/data/terraform.yml"
                    yield Found(policy.where("policy"), what, should, policy.address)

    def _counts(self, module: Module, statement: Statement, wanted: dict[str, Any]) -> bool:
        """Tell whether a statement refuses, whoever asks, under no other condition than the wanted one."""
        if statement.data.get("Effect") != "Deny":
            return False
        principals = list(statement.principals())
        everybody = any(kind in ("*", "AWS") and name == "*" for kind, name, _ in principals)
        of_resource = statement.block.labels[0] == "aws_s3_bucket_policy"
        asked = _condition(module, statement.data.get("Condition"))
        return (everybody or not of_resource) and _asks(asked, _condition(module, wanted.get("when")))


check = MAIL_TF_026()
