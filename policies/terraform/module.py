"""Terraform modules of a repository: which files make one, what overrides what, which values are given.

Terraform and OpenTofu read different files, and values can come from several tfvars files: each such reading
is a module of its own here, so that the weakest of them is seen.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from policies.model import Place
from policies.shared.limits import MOST_MODULES
from policies.shared.located import Unreadable
from policies.terraform import hcl, hcl_json
from policies.terraform.blocks import Block, Module, Partial, Unknown

if TYPE_CHECKING:
    from policies.shared.repository import Repository

__all__ = ["Block", "Module", "Partial", "Unknown", "modules", "parsed"]

CODE = re.compile(r"^(?P<name>.+?)\.(?P<kind>tf|tofu)(?P<json>\.json)?$")
#: Terraform reads these without being asked to, in this order.
LOADED = ("terraform.tfvars", "terraform.tfvars.json", "*.auto.tfvars", "*.auto.tfvars.json")
VALUES = ("*.tfvars", "*.tfvars.json")
SETTINGS = ("*.tfbackend", "*/backend*.hcl", "backend*.hcl")
#: Languages above Terraform's, and files that can replace what the modules say.
NOT_READ = (
    "*.tfstack.hcl",
    "*.tfdeploy.hcl",
    "*.tfcomponent.hcl",
    "*terragrunt.hcl",
    "*.tfstack.json",
    "*.tfdeploy.json",
)
#: Values and credentials that somebody wrote down beside the modules.
WRITTEN_DOWN = (
    "*.tfvars.example",
    "*.tfvars.sample",
    "*.tfvars.dist",
    "*.terraformrc",
    "*terraform.rc",
    "*.tfrc",
)
DEEPEST = 8


def _block(raw: hcl.RawBlock, file: str, module: Module) -> Block:
    block = Block(raw.type, raw.labels, Place(file, raw.line), raw.end, module)
    block.attributes = {name: node.parts[0] for name, node in raw.body.attributes.items()}
    block.places = {name: Place(file, node.line) for name, node in raw.body.attributes.items()}
    block.nested = [_block(inner, file, module) for inner in raw.body.blocks]
    return block


def _whole(body: hcl.Body, type: str, labels: tuple[str, ...], file: str, module: Module) -> Block:
    """Return a whole file as one block."""
    return _block(hcl.RawBlock(type, labels, body, 1, 1), file, module)


def parsed(repository: Repository, file: str) -> hcl.Body | None:
    """Return a file's tree; one that cannot be read is a problem."""
    repository.seen.add(file)
    read = hcl_json.parse if file.endswith(".json") else hcl.parse
    if file.endswith((".tfvars.json", ".tftest.json")):
        read = hcl_json.parse_values
    try:
        return read(repository.text(file), file)
    except Unreadable as error:
        repository.problem("unreadable", error.place, str(error), "write it as valid HCL or JSON")
        return None


# ---- override files


def is_override(file: str) -> bool:
    """Tell whether Terraform lays a file over the others."""
    matched = CODE.match(posixpath.basename(file))
    return bool(matched) and (matched["name"] == "override" or matched["name"].endswith("_override"))


def _same_block(block: Block, over: Block) -> bool:
    if (block.type, block.labels) != (over.type, over.labels):
        return False
    alias = [str(each.value("alias")) if each.type == "provider" else "" for each in (block, over)]
    return alias[0] == alias[1]


def _kind(block: Block) -> str:
    kind = block.labels[0] if block.is_dynamic else block.type
    return "backend" if kind == "cloud" else kind


def _lay_over(block: Block, over: Block) -> None:
    """Take over what an override block says: inner blocks replace those of their type as a whole."""
    block.attributes.update(over.attributes)
    block.places.update(over.places)
    for inner in over.nested:
        merged = next((each for each in block.nested if each.type == inner.type), None)
        if inner.type in ("lifecycle", "required_providers") and merged:
            _lay_over(merged, inner)
            over = replace(over, nested=[each for each in over.nested if each is not inner])
    replaced = {_kind(inner) for inner in over.nested}
    block.nested = [inner for inner in block.nested if _kind(inner) not in replaced] + over.nested


def _override(module: Module, over: Block) -> None:
    """Lay a block of an override file over its namesakes, as Terraform does."""
    same = [block for block in module.own if _same_block(block, over)]
    if over.type == "locals":
        same = [block for block in same if set(over.attributes) & set(block.attributes)] or same
    if over.type == "terraform":
        # There may be several; a backend takes the place of one that stands in any of them.
        for block in same:
            replaced = {_kind(inner) for inner in over.nested} - {"required_providers"}
            block.nested = [inner for inner in block.nested if _kind(inner) not in replaced]
    if same:
        _lay_over(same[0], over)
        for block in same[1:] if over.type in ("locals", "terraform") else ():
            block.attributes.update({key: over.attributes[key] for key in over.attributes if block.has(key)})
            block.places.update({key: over.places[key] for key in over.places if block.has(key)})
    else:
        module.own.append(over)


# ---- one folder


def _readings(files: Iterable[str]) -> list[list[str]]:
    """Return the files that Terraform reads, and those that OpenTofu does if they are others."""
    tofu = [file for file in files if CODE.match(file)["kind"] == "tofu"]
    plain = [file for file in files if file not in tofu]
    hidden = {file.replace(".tofu", ".tf") for file in tofu}
    readings = [plain] if plain else []
    if tofu:
        readings.append(sorted([*tofu, *(file for file in plain if file not in hidden)]))
    return readings


def _module(repository: Repository, folder: str, files: Iterable[str]) -> Module:
    module = Module(folder, tuple(files))
    for file in sorted(files, key=lambda name: (is_override(name), name)):
        body = parsed(repository, file)
        for raw in body.blocks if body else []:
            block = _block(raw, file, module)
            if is_override(file):
                _override(module, block)
            else:
                module.own.append(block)
    return module


def _values(repository: Repository, file: str) -> dict[str, tuple[hcl.Node, Place]]:
    body = parsed(repository, file)
    found = body.attributes.items() if body else ()
    return {name: (node.parts[0], Place(file, node.line)) for name, node in found}


def _loaded(repository: Repository, folder: str) -> dict[str, tuple[hcl.Node, Place]]:
    here = [file for file in repository.matching(*VALUES) if posixpath.dirname(file) == folder]
    given: dict[str, tuple[hcl.Node, Place]] = {}
    for pattern in LOADED[:2]:
        for file in here:
            if posixpath.basename(file) == pattern:
                given.update(_values(repository, file))
    for file in here:
        if _is_loaded(file) and posixpath.basename(file) not in LOADED[:2]:
            given.update(_values(repository, file))
    return given


def _is_loaded(file: str) -> bool:
    return any(fnmatch(posixpath.basename(file), pattern) for pattern in LOADED)


def _nearest(file: str, folders: Iterable[str]) -> list[str]:
    """Return the folder around a file that is one of these, or all of them if there is none."""
    around = [each for each in folders if not each or file.startswith(f"{each}/")]
    return [max(around, key=len)] if around else list(folders)


# ---- a whole repository


class Reader:
    """Reads the modules of one repository."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.called = 0
        self.folders: dict[str, list[str]] = {}
        for file in repository.matching("*.tf", "*.tofu", "*.tf.json", "*.tofu.json"):
            self.folders.setdefault(posixpath.dirname(file), []).append(file)

    def modules(self) -> list[Module]:
        """Return every root module, once for each reading of it."""
        plain = [module for folder in self.folders for module in self.read(folder)]
        called = {target for module in plain for target, _ in self.calls(module)}
        rooted = {each.folder for each in plain if any(_of_root(block) for block in each.own)}
        roots = [folder for folder in self.folders if folder not in called or folder in rooted]
        roots = roots or list(self.folders)
        found = [module for folder in roots for module in self.read(folder)]
        for file in self.repository.matching(*VALUES):
            if not _is_loaded(file):
                found += self.with_values(file, roots)
        for module in found:
            self.call(module, DEEPEST)
        return self.with_settings(found, roots)

    def read(self, folder: str) -> list[Module]:
        """Return the readings of a folder, with the values that are loaded unasked."""
        readings = [_module(self.repository, folder, files) for files in _readings(self.folders[folder])]
        for module in readings:
            module.given = _loaded(self.repository, folder)
        return readings

    def with_values(self, file: str, roots: list[str]) -> list[Module]:
        """Return the modules as they are with a file that somebody gives by -var-file."""
        given = _values(self.repository, file)
        found = [module for folder in _nearest(file, roots) for module in self.read(folder)]
        for module in found:
            module.given = {**module.given, **given}
        return found

    def calls(self, module: Module) -> Iterator[tuple[str, Block]]:
        """Yield the folder and block of each call of a module in this repository."""
        for block in module.own:
            source = block.value("source") if block.type == "module" else None
            if isinstance(source, str) and source.startswith(("./", "../")):
                yield posixpath.normpath(posixpath.join(module.folder, source)).removeprefix("./"), block

    def call(self, module: Module, deepest: int) -> None:
        """Put the called modules into the one that calls them."""
        for folder, block in self.calls(module) if deepest else ():
            folder = "" if folder == "." else folder
            if folder not in self.folders:
                what = f"the module {block.value('source')} is not in this repository"
                fix = "put it here, or take one that is pinned by commit"
                self.repository.problem("not-looked-at", block.where("source"), what, fix)
                continue
            for instance in block.instances():
                self.called += 1
                if self.called > MOST_MODULES:
                    what = f"more than {MOST_MODULES} modules are called"
                    self.repository.problem("not-looked-at", block.place, what, "call fewer")
                    return
                for files in _readings(self.folders[folder])[:1]:
                    child = _module(self.repository, folder, files)
                    child.call = instance
                    module.children.append(child)
                    self.call(child, deepest - 1)

    def with_settings(self, found: list[Module], roots: list[str]) -> list[Module]:
        """Add what init -backend-config may say, and which buckets hold a state."""
        for file in self.repository.matching(*SETTINGS):
            body = parsed(self.repository, file)
            for module in found if body else ():
                if module.folder in _nearest(file, roots) and not body.blocks:
                    module.settings.append(_whole(body, "backend", ("s3",), file, module))
        for file in self.repository.matching(*WRITTEN_DOWN):
            body = parsed(self.repository, file)
            for module in found if body else ():
                if module.folder in _nearest(file, roots):
                    module.written_down.append(_whole(body, "file", (file,), file, module))
        for module in found:
            lock = posixpath.join(module.folder, ".terraform.lock.hcl")
            body = parsed(self.repository, lock) if lock in self.repository.files else None
            module.locks = [_block(raw, lock, module) for raw in body.blocks] if body else []
        named = {
            str(each.value("bucket"))
            for module in found
            for each in module.own_backends()
            if each.has("bucket")
        }
        for module in found:
            module.states = frozenset(named)
        return found


def _of_root(block: Block) -> bool:
    inside = {inner.type for inner in block.nested}
    return block.type == "provider" or (block.type == "terraform" and bool(inside & {"backend", "cloud"}))


def modules(repository: Repository) -> list[Module]:
    """Return every root module of a repository, with those that it calls inside."""
    for file in repository.matching(*NOT_READ):
        what = "nothing here reads this language above Terraform's"
        repository.problem("not-looked-at", Place(file), what, "write it as Terraform modules")
    return Reader(repository).modules()
