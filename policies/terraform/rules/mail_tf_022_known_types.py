"""MAIL_TF_022: known parts only."""

from collections.abc import Iterator
from typing import Any

from policies.model import Found
from policies.shared.located import mapping
from policies.terraform.blocks import Block, Module
from policies.terraform.tables import table, types

#: Off, or as good as not there.
NOTHING = (None, False, "false", "", [], {})


def check(subject: Module) -> Iterator[Found]:
    """Look at every block with a type of its own, and at what provider and backend are told."""
    for block in subject.blocks:
        if block.type in ("resource", "data", "ephemeral", "action") and block.labels:
            yield from _type(subject, block)
        if block.type == "module":
            what = f"{block.address} is a called module"
            yield Found(block.place, what, "its resources, here", block.address)
        if block.type == "provider":
            yield from _settings(block, "provider")
    for settings in (each for each in subject.own if each.type == "terraform"):
        yield from _providers(settings)
    for backend in subject.backends():
        yield from _settings(backend, "backend") if backend.labels == ("s3",) else ()


def _type(module: Module, block: Block) -> Iterator[Found]:
    for inner in block.inner("provisioner"):
        what, entity = f"{block.address} runs a program", f"{block.address}/provisioner"
        yield Found(inner.place, what, "no provisioner", entity)
    type = block.labels[0]
    # What another provider makes stands or falls with the provider.
    if type.startswith(("aws_", "terraform_")) and type not in types(module, block.type):
        what = f"{block.address} has a type that nothing here needs"
        row = module.policy.entry("terraform", "types", value=type)
        listed = "a type that is listed"
        yield Found(block.place, what, listed, block.address, row)


def _providers(settings: Block) -> Iterator[Found]:
    for block in settings.inner("required_providers"):
        for name in block.attributes:
            source = str(mapping(block.value(name)).get("source", f"hashicorp/{name}"))
            source = source.removeprefix("registry.terraform.io/").removeprefix("registry.opentofu.org/")
            if source not in table("tables")["providers"]:
                what = f"the provider {name} is {source}"
                yield Found(block.where(name), what, "hashicorp/aws", f"provider.{name}/source")


def _settings(block: Block, kind: str) -> Iterator[Found]:
    known = table("tables")["settings"][kind]
    said: dict[str, Any] = {name: block.value(name) for name in block.attributes}
    said |= {inner.type: inner.type for inner in block.blocks}
    for name, value in said.items():
        if name not in known and value not in NOTHING:
            should = "no setting that leads to another server or account, or skips a check"
            yield Found(block.where(name), f"the {kind} has {name}", should, f"{block.address}/{name}")
