"""Terraform's values as plain Python: null is None, unknown is UNKNOWN, blocks are lists of dicts."""

from typing import Any, Final

State = dict[str, Any]
Block = dict[str, Any]


class Unknown:
    """A value that is known only after apply. Using it as a condition is a mistake and raises TypeError."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        raise TypeError("an unknown value was used as a condition")


UNKNOWN: Final = Unknown()


def empty(block: Block) -> State:
    """The value of a block in which nothing is set."""
    value: State = {name: None for name in block["attributes"]}
    for name, nested in block["block_types"].items():
        value[name] = None if nested["nesting_mode"] == "single" else []
    return value


def with_unknowns(block: Block, value: State) -> State:
    """Before a creation: every computed attribute that has no value will get one in apply."""
    result = _in_blocks(with_unknowns, block, value)
    for name, attribute in block["attributes"].items():
        if attribute.get("computed") and result[name] is None:
            result[name] = UNKNOWN
    return result


def without_unknowns(block: Block, value: State) -> State:
    """After apply: nothing may stay unknown; what AWS did not tell is null."""
    result = _in_blocks(without_unknowns, block, value)
    return {name: None if item is UNKNOWN else item for name, item in result.items()}


def _in_blocks(change: Any, block: Block, value: State) -> State:
    result = dict(value)
    for name, nested in block["block_types"].items():
        item = result.get(name)
        if isinstance(item, list):
            result[name] = [change(nested["block"], inner) for inner in item]
        elif isinstance(item, dict):
            result[name] = change(nested["block"], item)
    return result
