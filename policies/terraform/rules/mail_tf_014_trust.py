import re
from collections.abc import Iterator

from policies.model import Found, Place, Severity
from policies.shared.located import sequence
from policies.shared.tables import table
from policies.terraform.blocks import Module, names
from policies.terraform.iam import Statement, listed, statements
from policies.terraform.rule import TerraformRule

SUBJECT = re.compile(r"^repo:(?P<repository>[^:]+):(?P<rest>.+)$")
REPOSITORY = "github_repository"
READS = re.compile(r"^[\w-]+:(?:Get|List|Describe|Head)")


class MAIL_TF_014(TerraformRule):
    """A role is worth what its trust asks for: people without MFA are one stolen key away from all backups.

    GitHub signs tokens for every repository of the world; without the exact subject each of them is let in.
    Any branch but the protected one holds what nobody has approved.
    """

    name = "Trust is narrow: people need MFA, GitHub StringEquals of audience, repository and branch"
    severity = Severity.CRITICAL
    fix = 'Add Bool aws:MultiFactorAuthPresent "true", or StringEquals with the token\'s aud and sub'
    resources = ("aws_iam_role",)
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
                if kind == "AWS" and [
                    str(value).lower() for value in each.condition("Bool", "aws:MultiFactorAuthPresent")
                ] != ["true"]:
                    what = "people may assume it without MFA"
                    yield Found(place, what, 'Bool aws:MultiFactorAuthPresent "true"', each.block.address)
                if kind == "Federated":
                    yield from self._federated(each, str(name))
                    yield from self._subject(subject, each, str(name))
                    yield from self._proposed(subject, each, place)

    def _federated(self, statement: Statement, provider: str) -> Iterator[Found]:
        issuer = provider.partition("oidc-provider/")[2]
        if issuer not in table("terraform")["issuers"]:
            should, address = "one of issuers in policies/data/terraform.yml", statement.block.address
            yield Found(statement.place, f"tokens of {provider} are taken", should, address)
        for claim in ("aud", "sub"):
            values = statement.condition("StringEquals", f"{issuer}:{claim}")
            if not values or any("*" in str(value) or str(value).startswith("${") for value in values):
                what = f"the token's {claim} is {', '.join(map(str, values)) or 'not asked for'}"
                should = f"StringEquals {issuer}:{claim}, without wildcard"
                yield Found(statement.place, what, should, statement.block.address)

    def _subject(self, module: Module, statement: Statement, provider: str) -> Iterator[Found]:
        """The repository is the one that the module is told, what follows one of the known ends."""
        issuer, known = provider.partition("oidc-provider/")[2], table("terraform")
        address = statement.block.address
        for audience in statement.condition("StringEquals", f"{issuer}:aud"):
            if audience not in known["audiences"]:
                should = f"one of audiences in policies/data/terraform.yml: {', '.join(known['audiences'])}"
                yield Found(statement.place, f"the token is made for {audience}", should, address)
        told = module.all("variable", REPOSITORY)
        ours = str(module.evaluator.named(f"var.{REPOSITORY}")) if told else None
        for each in statement.condition("StringEquals", f"{issuer}:sub"):
            matched = SUBJECT.match(str(each))
            if not matched or matched["rest"] not in known["subjects"]:
                should = f"one of subjects in policies/data/terraform.yml: {', '.join(known['subjects'])}"
                yield Found(statement.place, f"{each} may assume it", should, address)
            elif ours and matched["repository"] not in (ours, "none"):
                should = f"the repository of var.{REPOSITORY}"
                yield Found(
                    statement.place, f"the repository {matched['repository']} is let in", should, address
                )

    def _providers(self, module: Module) -> Iterator[Found]:
        """The account's own entry for GitHub: whose tokens it takes, and which."""
        for provider in module.resources("aws_iam_openid_connect_provider"):
            url = str(provider.value("url")).removeprefix("https://").rstrip("/")
            if url not in table("terraform")["issuers"]:
                should = "one of issuers in policies/data/terraform.yml"
                yield Found(provider.where("url"), f"tokens come from {url}", should, provider.address)
            for audience in sequence(provider.value("client_id_list")):
                if audience not in table("terraform")["audiences"]:
                    should = "one of audiences in policies/data/terraform.yml"
                    where = provider.where("client_id_list")
                    yield Found(where, f"tokens for {audience} are taken", should, provider.address)

    def _proposed(self, module: Module, statement: Statement, place: Place) -> Iterator[Found]:
        """Whoever can open a pull request decides what runs in it: its role may only read."""
        subjects = str(statement.data.get("Condition"))
        if ":pull_request" not in subjects:
            return
        for each in statements(module):
            if each.allows and names(each.block, "role", statement.block):
                for action, _ in each.values("Action"):
                    # What is not listed at all is another rule's.
                    if not READS.match(str(action)) and listed(each.block.address, str(action)):
                        what = f"a pull request may {action} before it is merged"
                        should = "a role for pull requests that only reads"
                        yield Found(place, what, should, statement.block.address)
                        return


check = MAIL_TF_014()
