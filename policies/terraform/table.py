"""Rules that demand settings of blocks, as rows of rules.yml.

A demand: `of` says which blocks: types of resource, "provider aws" or "backend s3". `settings` says what must
stand in them: a path such as rule.default_retention.mode, and its value or values; those named in `optional`
may be left out. `companion` is a type of resource that each of these blocks must have; the settings
are those of the companion then, and `inline` is the old block inside the bucket that says the same.
`state: false` leaves out the bucket for the state, `unless` the blocks that set an attribute. `backend`
alone demands that the module keeps its state remotely.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from policies.model import Found
from policies.shared.located import mapping, sequence, where
from policies.shared.rule import Kind
from policies.shared.values import text
from policies.terraform.blocks import Block, Module
from policies.terraform.buckets import BUCKET, holds_state, ignored

MISSING = object()


def check(demand: dict[str, Any], module: Module) -> Iterator[Found]:
    """Yield each block of a module that breaks a demand."""
    if "backend" in demand:
        yield from _no_backend(module)
        return
    targets = [block for of in sequence(demand["of"]) for block in _blocks(module, of)]
    if not demand.get("state", True):
        targets = [each for each in targets if not (each.labels[0] == BUCKET and holds_state(module, each))]
    targets = [each for each in targets if not each.has(demand.get("unless", ""))]
    if "companion" in demand:
        for target in targets:
            yield from _missing(demand, module, target)
        targets = module.resources(demand["companion"])
    for target in targets:
        yield from ignored(target) if demand.get("companion") else ()
        yield from _settings(demand, target)


def _no_backend(module: Module) -> Iterator[Found]:
    """Yield the breach if a module keeps its state on a laptop and does not make the state's bucket."""
    makes_it = any(holds_state(module, each) for each in module.resources(BUCKET))
    elsewhere = [each for each in module.backends() if each.labels != ("s3",)]
    if makes_it or not (elsewhere or (module.all("provider") and not module.backends())):
        return
    place = elsewhere[0].place if elsewhere else module.place
    kind = " ".join(elsewhere[0].labels) if elsewhere else "a file on a laptop"
    yield Found(place, f"the state is kept in {kind}", 'backend "s3"', f"{module.folder}/backend")


def _blocks(module: Module, of: str) -> list[Block]:
    kind, _, label = of.partition(" ")
    if kind == "backend":
        return [each for each in module.backends() if each.labels == (label,)]
    return module.all(kind, label) if label else module.resources(kind)


def _missing(demand: dict[str, Any], module: Module, target: Block) -> Iterator[Found]:
    type = demand["companion"]
    found = module.pointing_at(target, "bucket", type)
    entity = f"{target.address}/{type.removeprefix(f'{BUCKET}_')}"
    if not any(each.sure or not target.sure for each in found):
        place = found[0].place if found else target.place
        often = ", or not always" if found else ""
        yield Found(place, f"{target.address} has no {type}{often}", f"an {type} for it", entity)
    for block in target.inner(demand["inline"]) if "inline" in demand else ():
        what = f"{block.type} is in {target.address} itself, where the two overwrite each other"
        yield Found(block.place, what, f"an {type} for it", entity)


def _settings(demand: dict[str, Any], target: Block) -> Iterator[Found]:
    for path, wanted in demand["settings"].items():
        allowed = wanted if isinstance(wanted, list) else [wanted]
        for value, place in _values(target, path.split(".")):
            if value is MISSING and path in demand.get("optional", ()):
                continue
            if not any(_same(value, each) for each in allowed):
                name = path.rpartition(".")[2]
                shown = "not set" if value is MISSING else text(value) if isinstance(value, bool) else value
                what, entity = f"{name} of {target.address} is {shown}", f"{target.address}/{name}"
                yield Found(place, what, f"{name} = {_written(allowed[0])}", entity)


def _values(block: Block, path: list[str]) -> Iterator[tuple[Any, Any]]:
    """Yield what stands at a path of blocks and, at its end, keys of a map; MISSING where nothing does."""
    name, *rest = path
    inner = [each for each in block.inner(name) if each.sure or not block.sure] if rest else []
    if inner:
        for each in inner:
            yield from _values(each, rest)
    elif rest and block.has(name):
        node = block.value(name)
        value = mapping(node).get(rest[0], MISSING)
        at = where(node, rest[0]) if hasattr(node, "places") else block.where(name)
        yield ("" if value is None else value), at
    else:
        value = MISSING if rest else block.value(name, MISSING)
        yield (MISSING if value is None else value), block.where(name)


def _same(value: Any, wanted: Any) -> bool:
    if wanted == "set":
        return value is not MISSING and value != ""
    return value == wanted or (isinstance(wanted, bool) and value == str(wanted).lower())


def _written(value: Any) -> str:
    if value == "set":
        return "…"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


KIND = Kind(
    "terraform", "hcl", lambda repository: repository.modules, {Path(__file__).with_name("rules.yml"): check}
)
