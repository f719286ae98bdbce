"""MAIL_TF_009: refusals stand."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from policies.model import Found
from policies.shared.located import mapping, sequence
from policies.terraform.blocks import Block, Module
from policies.terraform.iam import Statement, is_named, reaches, statements
from policies.terraform.tables import table
from policies.terraform.values import number

#: Resources whose policy is a resource of its own: the attribute that points at them, and its type.
POLICIES = {
    "aws_s3_bucket": ("bucket", "aws_s3_bucket_policy"),
    "aws_sns_topic": ("arn", "aws_sns_topic_policy"),
}


def _condition(module: Module, data: Any) -> dict[tuple[str, str], list[str]]:
    """Return a condition in one shape, as IAM reads it: names in any case, values as texts in any order."""
    return {
        (str(test).lower(), str(key).lower()): sorted(_text(module, each) for each in sequence(value))
        for test, asked in mapping(data).items()
        for key, value in mapping(asked).items()
    }


def _text(module: Module, value: Any) -> str:
    known = module.evaluator.named(value) if isinstance(value, str) and value.startswith("var.") else value
    return str(known).lower() if isinstance(known, bool) else str(known)


def _asks(there: dict, wanted: dict) -> bool:
    """Tell whether a condition is the wanted one; a higher number below which it refuses is as good."""
    if there == wanted:
        return True
    if set(there) != set(wanted) or len(there) != 1:
        return False
    [(test, key)] = there
    here, least = (
        number(each[test, key][0]) if len(each[test, key]) == 1 else None for each in (there, wanted)
    )
    return test == "numericlessthan" and here is not None and least is not None and here >= least


def _acts(statement: Statement, action: str) -> bool:
    name = action.lower()
    if "NotAction" in statement.data:
        left_out = [str(each).lower() for each, _ in statement.values("NotAction")]
        return not any(fnmatchcase(name, each) or fnmatchcase(each, name) for each in left_out)
    return any(fnmatchcase(name, str(each).lower()) for each, _ in statement.values("Action"))


def _on(statement: Statement, block: Block | None, end: str) -> bool:
    resources = [each for each, _ in statement.values("Resource")]
    if "*" in resources or block is None:
        return "*" in resources
    if block.labels[0] in POLICIES:
        return any(reaches(each, block, end) for each in resources)
    return any(is_named(each, block) for each in resources)


def check(subject: Module) -> Iterator[Found]:
    """Look at every bucket, topic and policy that must refuse something."""
    said = list(statements(subject))
    refusals = table("tables")["refusals"]
    for target in [each for each in subject.blocks if each.type == "resource" and len(each.labels) == 2]:
        wanted = [*refusals.get(target.labels[0], ()), *refusals.get(target.address, ())]
        pointer = POLICIES.get(target.labels[0])
        # Of several policies the one that is written last counts, and nobody knows which that is.
        policies = (subject.pointing_at(target, *pointer) or [target]) if pointer and wanted else [target]
        for policy in policies if wanted else ():
            for refusal in wanted:
                yield from _refusal(subject, target, policy, said, refusal)


def _refusal(
    module: Module, target: Block, policy: Block, said: list[Statement], refusal: dict[str, Any]
) -> Iterator[Found]:
    own = [each for each in said if each.block is policy and policy.sure >= target.sure]
    counting = [each for each in own if each.data.get("Effect") == "Deny" and _counts(module, each, refusal)]
    blocks = {each.address: each for each in module.blocks} | {"self": target}
    missing = [
        action
        for action in refusal["actions"]
        for name, slash, rest in (at.partition("/") for at in refusal["at"])
        if name in blocks or name == "*"
        # What nobody may be allowed anywhere is reported where it is allowed.
        if not (
            name == "*" and any(each.block is policy and each.allows and _acts(each, action) for each in said)
        )
        if not any(_acts(each, action) and _on(each, blocks.get(name), slash + rest) for each in counting)
    ]
    if missing:
        what = f"{target.address} does not refuse {refusal['what']}: {', '.join(dict.fromkeys(missing))}"
        place = target.place if policy is target and not policy.has("policy") else policy.where("policy")
        should = f"a Deny of {refusal['what']}"
        yield Found(place, what, should, f"{target.address}/{refusal['what']}")


def _counts(module: Module, statement: Statement, refusal: dict[str, Any]) -> bool:
    """Tell whether a statement refuses, whoever asks, under no other condition than the wanted one."""
    everybody = any(kind in ("*", "AWS") and name == "*" for kind, name, _ in statement.principals())
    of_resource = statement.block.labels[0] in ("aws_s3_bucket_policy", "aws_sns_topic_policy")
    asked = _condition(module, statement.data.get("Condition"))
    return (everybody or not of_resource) and _asks(asked, _condition(module, refusal.get("when")))
