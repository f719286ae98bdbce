"""MAIL_TF_014: trust is narrow."""

import re
from collections.abc import Iterator

from policies.model import Found, Place
from policies.shared.located import sequence
from policies.terraform.blocks import Module
from policies.terraform.iam import READS, Statement, statements
from policies.terraform.tables import actions, trusted
from policies.terraform.values import Unknown

#: GitHub's subject: the repository (with ids behind @ in the newer form), and what runs in it.
SUBJECT = re.compile(r"^repo:(?P<repository>[^:]+):(?P<rest>.+)$")
REPOSITORY = "github_repository"
MFA = "aws:MultiFactorAuthPresent"


def check(subject: Module) -> Iterator[Found]:
    """Look at the trust of every role, and at what the account takes tokens from."""
    yield from _providers(subject)
    for each in statements(subject):
        if each.block.labels[0] != "aws_iam_role" or not each.allows:
            continue
        for kind, name, place in each.principals():
            asked = [str(value).lower() for value in each.condition("Bool", MFA)]
            if kind == "AWS" and asked != ["true"]:
                what = "people may assume it without MFA"
                yield Found(place, what, f'Bool {MFA} "true"', f"{each.block.address}/MFA")
            if kind == "Federated":
                yield from _token(subject, each, str(name).partition("oidc-provider/")[2])
                yield from _proposed(subject, each, place)


def _token(module: Module, statement: Statement, issuer: str) -> Iterator[Found]:
    address = statement.block.address
    if issuer not in trusted(module, "issuers"):
        yield _stranger(module, "issuers", issuer, issuer or "no issuer", statement.place, address)
    for claim in ("aud", "sub"):
        values = statement.condition("StringEquals", f"{issuer}:{claim}")
        if not values or any("*" in str(value) or str(value).startswith("${") for value in values):
            what = f"the token's {claim} is {', '.join(map(str, values)) or 'not asked for'}"
            should = f"StringEquals {issuer}:{claim}, without wildcard"
            yield Found(statement.place, what, should, f"{address}/{claim}")
            continue
        for value in map(str, values):
            matched = SUBJECT.match(value)
            known = (matched["rest"] if matched else "") if claim == "sub" else value
            section = "subjects" if claim == "sub" else "audiences"
            ours = module.evaluator.named(f"var.{REPOSITORY}")
            if matched and not isinstance(ours, Unknown) and matched["repository"] not in (ours, "none"):
                what, should = (
                    f"{matched['repository']} may assume it",
                    f"the repository of var.{REPOSITORY}",
                )
                yield Found(statement.place, what, should, f"{address}/{matched['repository']}")
            if known not in trusted(module, section):
                yield _stranger(module, section, known, known or value, statement.place, address)


def _stranger(module: Module, section: str, value: str, shown: str, place: Place, address: str) -> Found:
    """Return the breach of a token with `shown` in it; `value` is what policy.yml may list, if anything."""
    row = module.policy.entry("terraform", section, value=value) if value else ""
    should, entity = f"one of the {section} that are trusted", f"{address}/{shown}"
    return Found(place, f"tokens with {shown} are accepted", should, entity, row)


def _providers(module: Module) -> Iterator[Found]:
    """The account's own entry for GitHub: whose tokens it takes, and which."""
    for provider in module.resources("aws_iam_openid_connect_provider"):
        said = [("issuers", "url", [str(provider.value("url")).removeprefix("https://").rstrip("/")])]
        said.append(("audiences", "client_id_list", sequence(provider.value("client_id_list"))))
        for section, attribute, values in said:
            for value in values:
                if value not in trusted(module, section):
                    where = provider.where(attribute)
                    yield _stranger(module, section, str(value), str(value), where, provider.address)


def _proposed(module: Module, statement: Statement, place: Place) -> Iterator[Found]:
    """Whoever can open a pull request decides what runs in it: its role may only read."""
    if ":pull_request" not in str(statement.data.get("Condition")):
        return
    for each in statements(module):
        if each.allows and each.block.names("role", statement.block):
            for action, _ in each.values("Action"):
                # What is not listed at all is another rule's.
                if not READS.match(str(action)) and str(action).lower() in actions(
                    module, each.block.address
                ):
                    what = f"a pull request may {action} before it is merged"
                    should = "a role for pull requests that only reads"
                    yield Found(place, what, should, f"{statement.block.address}/{action}")
