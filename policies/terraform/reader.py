"""Terraform modules of a repository: each folder with .tf files.

Only plain .tf files are read. Files that override others, JSON syntax, OpenTofu's own files, values in
tracked tfvars files and languages above Terraform are refused: a setting in one of them would decide, and
nobody would review it here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from policies.model import Place
from policies.shared.located import Unreadable
from policies.shared.repository import Repository
from policies.terraform import hcl
from policies.terraform.blocks import Block, Module
from policies.terraform.evaluator import Evaluator

#: What is not read, and what to write instead.
REFUSED = {
    ("*.tf.json", "*.tofu", "*.tofu.json", "*.tofutest.hcl"): "write it as .tf",
    ("*.tfvars", "*.tfvars.json"): "keep values out of git (.gitignore), or make them a variable's default",
    ("*.tfbackend",): "write it into the backend block",
    ("override.tf", "*/override.tf", "*_override.tf"): "write it into the block that it overrides",
    ("*.tfstack.hcl", "*.tfdeploy.hcl", "*.tfcomponent.hcl", "*terragrunt.hcl"): "write it as modules",
}


def modules(repository: Repository) -> list[Module]:
    """Return every module of a repository, and note the files that are refused."""
    refused = set()
    for patterns, fix in REFUSED.items():
        for file in repository.matching(*patterns):
            refused.add(file)
            what = "this kind of Terraform file is refused: nobody would review what it decides"
            repository.problem("not-looked-at", Place(file), what, fix)
    folders: dict[str, list[str]] = {}
    for file in (each for each in repository.matching("*.tf") if each not in refused):
        folders.setdefault(posixpath.dirname(file), []).append(file)
    found = [_module(repository, folder, files) for folder, files in folders.items()]
    buckets = {module.folder: {str(each.value("bucket")) for each in module.backends()} for module in found}
    for module in found:
        others = [names for folder, names in buckets.items() if folder != module.folder]
        # Nothing can keep its state in what it is about to make.
        module.states = frozenset(set().union(*others) - buckets[module.folder])
    return found


def parsed(repository: Repository, file: str) -> hcl.Body | None:
    """Return a file's tree; one that cannot be read is a problem."""
    repository.seen.add(file)
    try:
        return hcl.parse(repository.text(file), file)
    except Unreadable as error:
        repository.problem("unreadable", error.place, str(error), "write it as valid HCL")
        return None


def _module(repository: Repository, folder: str, files: Iterable[str]) -> Module:
    module = Module(folder, tuple(files))
    module.evaluator = Evaluator(module)
    module.policy = repository.policy
    module.own = [block for file in sorted(files) for block in _blocks(repository, file, module)]
    return module


def _blocks(repository: Repository, file: str, module: Module) -> Iterator[Block]:
    body = parsed(repository, file)
    for raw in body.blocks if body else ():
        yield _block(raw, file, module)


def _block(raw: hcl.RawBlock, file: str, module: Module) -> Block:
    block = Block(raw.type, raw.labels, Place(file, raw.line), module)
    block.attributes = {name: node.parts[0] for name, node in raw.body.attributes.items()}
    block.places = {name: Place(file, node.line) for name, node in raw.body.attributes.items()}
    block.nested = [_block(inner, file, module) for inner in raw.body.blocks]
    return block
