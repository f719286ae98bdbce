import re
from collections.abc import Iterator
from typing import Any

from policies.families import TerraformRule
from policies.model import Found, Severity
from policies.sources.located import Map, mapping, where
from policies.sources.terraform import Block, Module

EXACT = re.compile(r"^=?\s*v?\d+\.\d+\.\d+$")
MINOR = re.compile(r"^~>\s*v?\d+\.\d+(?:\.\d+)?$")
UPPER = re.compile(r"^<=?\s*v?\d+(?:\.\d+)*$")
COMMIT = re.compile(r"[?&]ref=[0-9a-f]{40}(?:&|$)")
#: Part of Terraform itself.
BUILT_IN = ("terraform",)


def bounded(constraint: Any) -> bool:
    """Tell whether a version constraint keeps the next major version out."""
    parts = [part.strip() for part in str(constraint or "").split(",")]
    return any(EXACT.match(part) or MINOR.match(part) or UPPER.match(part) for part in parts)


class MAIL_TF_018(TerraformRule):
    """A provider runs on the machine that holds the account's credentials, and plans what is deleted.

    Without an upper bound the next `init` takes a major version that renames things, or a stranger's module.
    """

    name = (
        "Providers pinned: required_version and providers with an upper bound, modules by version or commit"
    )
    severity = Severity.MEDIUM
    fix = (
        'Write version = "~> 6.25", required_version = ">= 1.9.0, < 2.0.0", ?ref=<40 hex digits> for modules'
    )
    resources = ("*",)
    bad = 'required_providers {\n  aws = {\n    source  = "hashicorp/aws"\n    version = ">= 5"\n  }\n}\n'
    good = 'required_providers {\n  aws = {\n    source  = "hashicorp/aws"\n    version = "~> 6.25"\n  }\n}\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at the settings of Terraform, at the providers in use and at modules from elsewhere."""
        settings = subject.all("terraform")
        versions = [each for each in settings if each.has("required_version")]
        if not versions:
            place = settings[0].place if settings else subject.place
            yield Found(place, "any Terraform will do", "required_version with an upper bound")
        for each in versions:
            if not bounded(each.value("required_version")):
                what = f"Terraform {each.value('required_version')} will do"
                yield Found(each.where("required_version"), what, ">= 1.9.0, < 2.0.0")
        yield from self._providers(subject)
        for module in subject.all("module"):
            yield from self._module(module)

    def _providers(self, module: Module) -> Iterator[Found]:
        named = set()
        for settings in module.all("terraform"):
            for block in settings.inner("required_providers"):
                for name in block.attributes:
                    named.add(name)
                    entry = block.value(name)
                    if not bounded(mapping(entry).get("version")):
                        version = mapping(entry).get("version")
                        place = where(entry, "version") if isinstance(entry, Map) else block.where(name)
                        yield Found(place, f"{name} is {version}", '"~> 6.25" or exact', f"provider.{name}")
        used = {
            each.labels[0].partition("_")[0]: each for each in reversed(module.all("resource")) if each.labels
        }
        for name, block in used.items():
            if name not in named and name not in BUILT_IN:
                what = f"the provider {name} is not pinned"
                yield Found(block.place, what, "an entry in required_providers", block.address)

    def _module(self, module: Block) -> Iterator[Found]:
        source = str(module.value("source"))
        pinned = EXACT.match(str(module.value("version", ""))) or COMMIT.search(source)
        if not source.startswith(("./", "../")) and not pinned:
            yield Found(module.where("source"), f"{source} is not pinned", "a commit", module.address)


check = MAIL_TF_018()
