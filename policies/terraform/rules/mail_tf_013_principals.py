"""MAIL_TF_013: only ours may act."""

import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found
from policies.shared.located import where
from policies.terraform.blocks import Module
from policies.terraform.iam import is_vague, statements
from policies.terraform.tables import trusted
from policies.terraform.values import Unknown

ACCOUNT = re.compile(r"^(?:arn:[^:]*:(?:iam|sts)::)?(?P<account>[^:]*)(?::|$)")

NUMBER = re.compile(r"\b\d{12}\b")


def is_ours(module: Module, kind: str, name: Any) -> bool:
    """Tell whether a principal is of this account, or a service or account that is trusted.

    What only Terraform knows is a resource or the account itself: others are vague, and reported as such.
    """
    if kind == "Service":
        return str(name) in trusted(module, "services")
    account = ACCOUNT.match(str(name))
    ours = bool(account) and (
        account["account"].startswith("${") or account["account"] in trusted(module, "accounts")
    )
    return kind in ("AWS", "Federated") and (isinstance(name, Unknown) or ours)


def check(subject: Module) -> Iterator[Found]:
    """Look at every principal of every Allow."""
    for each in statements(subject):
        address = each.block.address
        if each.allows and "NotPrincipal" in each.data:
            place = where(each.data, "NotPrincipal")
            yield Found(place, "everybody but some may act", "Principal, by name", f"{address}/NotPrincipal")
        for kind, name, place in each.principals() if each.allows else ():
            entity = f"{address}/{name}"
            if "*" in str(name):
                yield Found(place, f"{name} may act", "a principal by name", entity)
            elif is_vague(name):
                yield Found(place, f"the principal is {name}", "one that can be read", entity)
            elif not is_ours(subject, kind, name):
                what, should = f"a stranger may act: {name}", "this account, or one that policy.yml lists"
                yield Found(place, what, should, entity, _row(subject, kind, str(name)))


def _row(module: Module, kind: str, name: str) -> str:
    """Return the row that trusts a service or an account; nothing for what is neither."""
    if kind == "Service":
        return module.policy.entry("terraform", "services", value=name)
    number = NUMBER.search(name) if kind == "AWS" else None
    return module.policy.entry("terraform", "accounts", value=number[0]) if number else ""
