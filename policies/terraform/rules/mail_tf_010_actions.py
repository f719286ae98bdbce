"""MAIL_TF_010: least privilege."""

from collections.abc import Iterator

from policies.model import Found
from policies.shared.located import sequence, where
from policies.terraform.blocks import Block, Module
from policies.terraform.iam import READS, Statement, Unread, is_named, is_open, policies, proposed
from policies.terraform.tables import actions, table

#: Attributes that give a policy or the rights of a group, and the type of what they must name.
GIVEN = {"policy_arn": "aws_iam_policy", "managed_policy_arns": "aws_iam_policy", "groups": "aws_iam_group"}
BOUNDARY = "iam:PermissionsBoundary"


def check(subject: Module) -> Iterator[Found]:
    """Look at every action of every Allow, and at policies that are given from elsewhere."""
    for each in policies(subject):
        if isinstance(each, Unread):
            entity = f"{each.block.address}/policy"
            yield Found(each.place, each.what, "a policy that can be read here", entity)
        elif each.allows:
            yield from _statement(subject, each)
            yield from _bounded(subject, each)
    for block in subject.blocks:
        if block.type == "resource" and block.labels[0].startswith("aws_iam_"):
            yield from _given(subject, block)


def _statement(module: Module, statement: Statement) -> Iterator[Found]:
    address = statement.block.address
    if "NotAction" in statement.data:
        place = where(statement.data, "NotAction")
        yield Found(place, "all actions but some are allowed", "Action, by name", f"{address}/NotAction")
    for action, place in statement.values("Action"):
        entity = f"{address}/{action}"
        if is_open(action) or not isinstance(action, str):
            yield Found(place, f"the action is {action}", "an action that can be read here", entity)
        elif "*" in action or "?" in action:
            yield Found(place, f"{address} allows {action}", "actions by name, without wildcard", entity)
        elif action.lower() not in actions(module, address):
            # What is not merged yet may only read, whatever policy.yml says.
            allowed = READS.match(action) or not proposed(module, statement.block)
            row = module.policy.entry("terraform", "actions", address, value=str(action)) if allowed else ""
            should = "only actions that are listed for it"
            yield Found(place, f"{address} allows {action}", should, entity, row)


def _bounded(module: Module, statement: Statement) -> Iterator[Found]:
    giving = {each.lower() for each in table("tables")["bounded"]}
    given = [(name, place) for name, place in statement.values("Action") if str(name).lower() in giving]
    if given and not statement.condition("StringEquals", BOUNDARY):
        name, place = given[0]
        should = f"StringEquals {BOUNDARY} with the boundary's ARN"
        what = f"{name} is allowed without the boundary"
        yield Found(place, what, should, f"{statement.block.address}/{name} without boundary")


def _given(module: Module, block: Block) -> Iterator[Found]:
    for name, type in GIVEN.items():
        for each in sequence(block.value(name)):
            if not any(is_named(each, one) for one in module.resources(type)):
                what = f"{block.address} gives the rights of {each}, which cannot be read here"
                yield Found(block.where(name), what, f"an {type} of this module", f"{block.address}/{name}")
