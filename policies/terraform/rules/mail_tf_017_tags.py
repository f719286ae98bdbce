from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import mapping, where
from policies.shared.tables import table
from policies.terraform.blocks import Module
from policies.terraform.rule import TerraformRule


class MAIL_TF_017(TerraformRule):
    """Years later nobody knows whose a resource is; what nobody owns is paid for, or deleted by guess.

    The provider's default_tags reach every resource, those that are added tomorrow too.
    """

    name = "Tagged: default_tags of the aws provider with Project, Environment, ManagedBy and Owner"
    severity = Severity.LOW
    fix = "Add default_tags { tags = { Project = …, Environment = …, ManagedBy = …, Owner = … } }"
    resources = ("*",)
    bad = 'provider "aws" {\n  region = "eu-central-1"\n}\n'
    good = (
        'provider "aws" {\n  default_tags {\n    tags = {\n      Project     = "mailserver"\n'
        '      Environment = "production"\n      ManagedBy   = "terraform"\n'
        '      Owner       = "admin"\n    }\n  }\n}\n'
    )

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every aws provider; the one that a module has by itself tags nothing."""
        providers = subject.all("provider", "aws")
        plain = [
            each for each in subject.blocks if each.type == "resource" and each.labels[0].startswith("aws_")
        ]
        if plain and not any(each.value("alias") is None for each in providers):
            what = "no provider tags what is made here"
            yield Found(subject.place, what, 'provider "aws" with default_tags', plain[0].address)
        for provider in subject.all("provider", "aws"):
            inner = next(provider.inner("default_tags"), None)
            tags = mapping(inner.value("tags")) if inner else {}
            for name in table("terraform")["tags"]:
                if tags.get(name) in (None, ""):
                    place = where(tags, name) if name in tags else (inner or provider).where("tags")
                    yield Found(place, f"the tag {name} is missing", f"a tag {name}", provider.address)


check = MAIL_TF_017()
