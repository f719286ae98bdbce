from collections.abc import Iterable, Iterator
from typing import NamedTuple

from policies.model import Found, Place, Severity
from policies.shared.located import Map, mapping, where
from policies.shared.repository import Repository
from policies.shared.tables import table
from policies.terraform.blocks import Block, Module
from policies.terraform.providers import in_repository, pinned
from policies.terraform.rule import TerraformRule

#: Where Terraform finds providers that no registry has signed.
PROGRAMS = ("*.terraform/providers/*", "*terraform.d/plugins/*")
#: Blocks of the command line's settings that put something else in the place of a provider, or run a program.
REPLACES = ("credentials_helper", "host")


class Seen(NamedTuple):
    """A module, and the providers that stand in the repository as files."""

    module: Module
    programs: list[str]


class MAIL_TF_023(TerraformRule):
    """Terraform runs with the account's credentials, and so does every program that it is told to run.

    A provisioner or an external data source is such a program, a provider or module of others is one nobody
    here has read, and dev_overrides or a mirror put another one in the place of the provider that is pinned.
    """

    name = (
        "No program by Terraform: no provisioner, no provider but aws, no module or provider from elsewhere"
    )
    severity = Severity.CRITICAL
    fix = "Remove it; do it by hand or in a script of the repository, without the account's credentials"
    resources = ("*",)
    bad = 'resource "terraform_data" "x" {\n  provisioner "local-exec" {\n    command = "./x.sh"\n  }\n}\n'
    good = 'resource "terraform_data" "x" {\n  input = "x"\n}\n'

    def subjects(self, repository: Repository) -> Iterable[Seen]:
        """Return every module; the first one also answers for the files."""
        programs = repository.matching(*PROGRAMS)
        return [Seen(module, [] if at else programs) for at, module in enumerate(repository.modules)]

    def check(self, subject: Seen) -> Iterator[Found]:
        """Look at resources, providers, modules of others and the command line's settings."""
        for file in subject.programs:
            yield Found(Place(file), "a provider as a file", "providers that terraform init takes", file)
        for block in subject.module.blocks:
            for inner in block.blocks if block.type == "resource" else ():
                if inner.type == "provisioner":
                    what = f"{block.address} runs a program: {' '.join(inner.labels)}"
                    yield Found(inner.place, what, "no provisioner", block.address)
            if block.type == "module" and not in_repository(block) and pinned(block):
                what = f"what stands in {block.value('source')} is judged by nobody"
                yield Found(block.where("source"), what, "a module of this repository", block.address)
        for settings in subject.module.all("terraform"):
            yield from self._settings(settings)
        for file in subject.module.written_down:
            yield from self._command_line(file)

    def _settings(self, settings: Block) -> Iterator[Found]:
        for block in settings.inner("required_providers"):
            for name in block.attributes:
                entry = block.value(name)
                kind = str(mapping(entry).get("source", name)).rpartition("/")[2]
                if kind not in table("terraform")["providers"]:
                    at = where(entry, "source") if isinstance(entry, Map) else block.where(name)
                    should = "one of providers in policies/data/terraform.yml"
                    yield Found(at, f"the provider {kind} runs as well", should, f"provider.{name}")
        for block in settings.inner("encryption"):
            for inner in block.blocks:
                if "external" in inner.labels:
                    what = "a program makes the key of the state"
                    yield Found(inner.place, what, "no external key provider or method")

    def _command_line(self, file: Block) -> Iterator[Found]:
        ways = list(file.inner("provider_installation"))
        installed = [inner for each in ways for inner in each.blocks]
        overrides = [each.where("dev_overrides") for each in ways if each.has("dev_overrides")]
        replaced = [each for each in file.blocks if each.type in REPLACES]
        named = [(each.type, each.place) for each in [*replaced, *installed] if each.type != "direct"]
        for kind, place in [*named, *(("dev_overrides", place) for place in overrides)]:
            what = f"{kind} puts something else in the place of what is pinned"
            yield Found(place, what, "only direct, or nothing at all")


check = MAIL_TF_023()
