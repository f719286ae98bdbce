"""MAIL_TF_014: who may assume roles."""

import re
from collections.abc import Iterator

from policies.model import Found, Place, Severity
from policies.shared.located import sequence
from policies.terraform.blocks import Module
from policies.terraform.iam import Statement, statements
from policies.terraform.rule import TerraformRule
from policies.terraform.tables import actions, trusted
from policies.terraform.values import Unknown

#: GitHub's subject: the repository (with ids behind @ in the newer form), and what runs in it.
SUBJECT = re.compile(r"^repo:(?P<repository>[^:]+):(?P<rest>.+)$")
READS = re.compile(r"^[\w-]+:(?:Get|List|Describe|Head)")
REPOSITORY = "github_repository"
MFA = "aws:MultiFactorAuthPresent"


class MAIL_TF_014(TerraformRule):
    """A role is worth what its trust asks for: people without MFA are one stolen key away from all backups.

    GitHub signs tokens for every repository of the world; without the exact subject each of them is let in.
    Any branch but the protected one holds what nobody has approved.
    """

    name = "Trust is narrow: people need MFA, GitHub StringEquals of audience, repository and branch"
    severity = Severity.CRITICAL
    fix = 'Add Bool aws:MultiFactorAuthPresent "true", or StringEquals with the token\'s aud and sub'
    bad = 'Principal = { Federated = local.github_oidc }\nAction    = "sts:AssumeRoleWithWebIdentity"\n'
    good = (
        'Condition = { StringEquals = {\n  "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"\n'
        '  "token.actions.githubusercontent.com:sub" = "repo:acme/mail:ref:refs/heads/main"\n} }\n'
    )

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at the trust of every role, and at what the account takes tokens from."""
        yield from self._providers(subject)
        for each in statements(subject):
            if each.block.labels[0] != "aws_iam_role" or not each.allows:
                continue
            for kind, name, place in each.principals():
                asked = [str(value).lower() for value in each.condition("Bool", MFA)]
                if kind == "AWS" and asked != ["true"]:
                    what = "people may assume it without MFA"
                    yield Found(place, what, f'Bool {MFA} "true"', f"{each.block.address}/MFA")
                if kind == "Federated":
                    yield from self._token(subject, each, str(name).partition("oidc-provider/")[2])
                    yield from self._proposed(subject, each, place)

    def _token(self, module: Module, statement: Statement, issuer: str) -> Iterator[Found]:
        address = statement.block.address
        if issuer not in trusted(module, "issuers"):
            yield self._stranger(module, "issuers", issuer or "nobody", statement.place, address)
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
                    yield self._stranger(module, section, known or value, statement.place, address)

    def _stranger(self, module: Module, section: str, value: str, place: Place, address: str) -> Found:
        what = f"tokens with {value} are accepted"
        row = module.policy.row("terraform", section, value=[value])
        return Found(place, what, f"one of the {section} that are trusted", f"{address}/{value}", row)

    def _providers(self, module: Module) -> Iterator[Found]:
        """The account's own entry for GitHub: whose tokens it takes, and which."""
        for provider in module.resources("aws_iam_openid_connect_provider"):
            said = [("issuers", "url", [str(provider.value("url")).removeprefix("https://").rstrip("/")])]
            said.append(("audiences", "client_id_list", sequence(provider.value("client_id_list"))))
            for section, attribute, values in said:
                for value in values:
                    if value not in trusted(module, section):
                        where = provider.where(attribute)
                        yield self._stranger(module, section, str(value), where, provider.address)

    def _proposed(self, module: Module, statement: Statement, place: Place) -> Iterator[Found]:
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


check = MAIL_TF_014()
