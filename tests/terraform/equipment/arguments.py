"""Which arguments of a resource the stand-in provider carries out, and which values each may have.

What is not in a resource's table is refused, so that no test passes because an argument was ignored. Values
are AWS's own lists; `test_equipment_arguments.py` compares them with boto3's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from equipment.values import UNKNOWN, Block, State


@dataclass(frozen=True)
class Argument:
    """The values that an argument may have (None: any), and the list of AWS, service and shape."""

    values: tuple[Any, ...] | None = None
    service: str = ""
    shape: str = ""
    #: Values of the provider's own, which it does not send.
    own: tuple[str, ...] = ()

    def refuses(self, value: Any) -> bool:
        return self.values is not None and value is not UNKNOWN and value not in (*self.values, *self.own)


Arguments = Mapping[str, Argument]
ANY: Final = Argument()
#: What every resource understands, if it has it at all.
COMMON: Final = {"region": ANY, "tags": ANY}


def anything(*names: str) -> dict[str, Argument]:
    """Arguments that may have any value of their type."""
    return dict.fromkeys(names, ANY)


def one_of(service: str, shape: str, *values: str, own: tuple[str, ...] = ()) -> Argument:
    """An argument with one of AWS's values; a list may have several."""
    return Argument(values, service, shape, own)


def problems(block: Block, arguments: Arguments, config: State) -> list[str]:
    """What of a configuration the stand-in does not carry out, in a sentence each."""
    known = {**COMMON, **arguments}
    found = []
    for path, value in _given(block, config):
        if path not in known:
            found.append(f"{path}: the stand-in does not carry this argument out; teach it, or leave it away")
            continue
        values = value if isinstance(value, list) else [value]
        found += [f"{path}: AWS knows no {each!r}" for each in values if known[path].refuses(each)]
    return found


def _given(block: Block, config: State, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything that the configuration sets."""
    for name in block["attributes"]:
        if config.get(name) is not None:
            yield f"{prefix}{name}", config[name]
    for name, nested in block["block_types"].items():
        value = config.get(name)
        items = value if isinstance(value, list) else [value]
        for item in items:
            if isinstance(item, dict):
                yield from _given(nested["block"], item, f"{prefix}{name}.")
