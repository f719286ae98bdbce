import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found, Severity
from policies.shared.located import Map, mapping, sequence, where
from policies.shared.tables import table
from policies.terraform.blocks import Block, Module
from policies.terraform.providers import EXACT, in_repository, pinned
from policies.terraform.rule import TerraformRule

MINOR = re.compile(r"^~>\s*v?\d+\.\d+(?:\.\d+)?$")
UPPER = re.compile(r"^<=?\s*v?(?P<major>\d+)(?:\.\d+)*$")
LOWER = re.compile(r"^>=?\s*v?(?P<major>\d+)(?:\.\d+)*$")
#: Part of Terraform itself.
BUILT_IN = ("terraform",)


def bounded(constraint: Any) -> bool:
    """Tell whether a version constraint keeps the next but one major version out."""
    parts = [part.strip() for part in str(constraint or "").split(",")]
    if any(EXACT.match(part) or MINOR.match(part) for part in parts):
        return True
    upper = [int(found["major"]) for part in parts if (found := UPPER.match(part))]
    lower = [int(found["major"]) for part in parts if (found := LOWER.match(part))]
    return bool(upper and lower) and min(upper) - max(lower) <= 1


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
        settings = [each for each in subject.own if each.type == "terraform"]
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
        for lock in subject.locks:
            if not sequence(lock.value("hashes")):
                what = f"{lock.labels[0] if lock.labels else 'a provider'} is locked without hashes"
                yield Found(lock.where("hashes"), what, "the hashes that terraform init writes", lock.address)

    def _providers(self, module: Module) -> Iterator[Found]:
        named = set()
        for settings in module.all("terraform"):
            for block in settings.inner("required_providers"):
                for name in block.attributes:
                    yield from self._provider(block, name, settings.module is module)
                    named |= {name} if settings.module is module else set()
        used: dict[str, Block] = {}
        for block in module.blocks:
            if block.type in ("resource", "data", "ephemeral", "provider") and block.labels:
                used.setdefault(block.labels[0].partition("_")[0], block)
        for name, block in used.items():
            if name not in named and name not in BUILT_IN:
                what = f"the provider {name} is not pinned"
                yield Found(block.place, what, "an entry in required_providers", block.address)

    def _provider(self, block: Block, name: str, in_root: bool) -> Iterator[Found]:
        entry = block.value(name)
        place = block.where(name)
        version = mapping(entry).get("version")
        # A called module takes the version that its caller has pinned.
        if in_root and not bounded(version):
            at = where(entry, "version") if isinstance(entry, Map) else place
            yield Found(at, f"{name} is {version}", '"~> 6.25" or exact', f"provider.{name}")
        source = str(mapping(entry).get("source", f"hashicorp/{name}"))
        maker = (
            source.removeprefix("registry.terraform.io/")
            .removeprefix("registry.opentofu.org/")
            .partition("/")[0]
        )
        if maker not in table("terraform")["provider_makers"]:
            at = where(entry, "source") if isinstance(entry, Map) else place
            should = "one of provider_makers in policies/data/terraform.yml"
            yield Found(at, f"{name} comes from {maker}", should, f"provider.{name}")

    def _module(self, module: Block) -> Iterator[Found]:
        if not in_repository(module) and not pinned(module):
            source = module.value("source")
            yield Found(module.where("source"), f"{source} is not pinned", "a commit", module.address)


check = MAIL_TF_018()
