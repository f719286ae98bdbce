"""Reads the AWS provider's schema out of its generated TypeScript bindings.

The bindings state for every argument whether it is required, optional or computed (a comment above each
property) and whether it is a block, a list, a set or a plain value (the map that writes HCL). Not stated
there: what forces a replacement, what is sensitive, defaults and validators; the resources in
`equipment.aws` add what they need of that.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]

_FLAGS = re.compile(
    r"// (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n((?:.*\n){3})"
)
_HCL = re.compile(
    r'^ +(\w+): \{\n +value: .*,\n +isBlock: (true|false),\n +type: "(\w+)",\n +storageClassType: "(\w+)",',
    re.MULTILINE,
)
_CLASS = re.compile(r"^export class (\w+) extends cdktf\.(\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_TO_HCL = re.compile(r"^export function (\w+)ToHclTerraform\(.*?\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_INTERFACE = re.compile(r"^export interface (\w+)\b[^{]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r"^  readonly (\w+)(\??):", re.MULTILINE)
_SIMPLE = {"string": "string", "number": "number", "boolean": "bool"}
_GETTERS = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "StringMap": ["map", "string"],
}
_KINDS = {"TerraformResource": "resource", "TerraformDataSource": "data", "TerraformProvider": "provider"}


class SchemaError(Exception):
    """The bindings say something that this reader does not understand."""


@dataclass(frozen=True)
class Argument:
    """How one argument is written in HCL."""

    block: bool
    kind: str
    storage: str

    @property
    def plain_type(self) -> Any:
        """The Terraform type of a plain value, None for a struct."""
        match = re.fullmatch(r"(string|number|boolean)((?:Map|List)*)", self.storage)
        if match is None:
            return None
        result: Any = _SIMPLE[match[1]]
        wrappers = re.findall("Map|List", match[2])
        for position, wrapper in enumerate(wrappers, 1):
            if wrapper == "Map":
                result = ["map", result]
            else:
                result = [self.kind if position == len(wrappers) else "list", result]
        return result

    @property
    def struct(self) -> str:
        """Name of the struct that a block holds."""
        return self.storage.removesuffix("List")


@dataclass(frozen=True)
class Flags:
    """What the comment above a property says, and the property's next lines."""

    computed: bool = False
    optional: bool = False
    required: bool = False
    source: str = ""

    def as_schema(self) -> dict[str, bool]:
        return {name: True for name in ("computed", "optional", "required") if getattr(self, name)}


class Bindings:
    """One file of the bindings: one resource, one data source or the provider."""

    def __init__(self, text: str) -> None:
        self._classes = {name: body for name, _, body in _CLASS.findall(text)}
        self._hcl = {name: _arguments(body) for name, body in _TO_HCL.findall(text)}
        self._interfaces = {name: body for name, body in _INTERFACE.findall(text)}
        main = [(_KINDS[base], body) for _, base, body in _CLASS.findall(text) if base in _KINDS]
        if len(main) != 1:
            raise SchemaError(f"expected one resource, data source or provider in a file, found {len(main)}")
        self.kind, self._main = main[0]

    @property
    def terraform_type(self) -> str:
        """Name in Terraform, for instance aws_s3_bucket."""
        return _found(re.search(r'tfResourceType = "(\w+)"', self._main), "tfResourceType")

    @property
    def provider_version(self) -> str:
        return _found(re.search(r"providerVersion: '([\d.]+)'", self._main), "providerVersion")

    def schema(self) -> Body:
        """The body as `terraform providers schema -json` writes it."""
        written = self._main[self._main.index("synthesizeHclAttributes") :]
        return self._body(_flags(self._main), _arguments(written))

    def _struct(self, name: str) -> Body:
        arguments = self._hcl.get(name[0].lower() + name[1:], {})
        reference = self._classes.get(f"{name}OutputReference")
        flags = _flags(reference) if reference is not None else self._interface_flags(name, arguments)
        return self._body(flags, arguments)

    def _interface_flags(self, name: str, arguments: Iterable[str]) -> dict[str, Flags]:
        """Structs of the provider have no class; their interface says what may be left out."""
        marks = {member.lower(): mark for member, mark in _MEMBER.findall(self._interfaces.get(name, ""))}
        required = {argument: marks.get(argument.replace("_", "")) == "" for argument in arguments}
        return {argument: Flags(optional=not must, required=must) for argument, must in required.items()}

    def _body(self, flags: dict[str, Flags], arguments: dict[str, Argument]) -> Body:
        body: Body = {"attributes": {}, "block_types": {}}
        for name in sorted(flags.keys() | arguments.keys()):
            flag, argument = flags.get(name, Flags(optional=True)), arguments.get(name)
            if argument is not None and argument.block and not flag.computed:
                body["block_types"][name] = self._block(flag, argument)
            else:
                body["attributes"][name] = {"type": self._type(name, flag, argument), **flag.as_schema()}
        return body

    def _block(self, flag: Flags, argument: Argument) -> Body:
        block = self._struct(argument.struct)
        if argument.kind == "struct":
            return {"nesting_mode": "single", "block": block}
        limits = {"min_items": 1} if flag.required else {}
        if re.search(r"new \w+OutputReference\(", flag.source):
            limits["max_items"] = 1
        return {"nesting_mode": argument.kind, "block": block, **limits}

    def _type(self, name: str, flag: Flags, argument: Argument | None) -> Any:
        if argument is not None and argument.plain_type is not None:
            return argument.plain_type
        if argument is not None:  # a computed block is an attribute that is written as blocks
            return [argument.kind, object_type(self._struct(argument.struct))]
        getter = re.search(r"this\.get(\w+)Attribute\(|new cdktf\.(StringMap)\(", flag.source)
        if getter is not None and (found := _GETTERS.get(getter[1] or getter[2])):
            return ["set", "string"] if "Fn.tolist(" in flag.source else found
        struct = re.search(r'new (\w+)List\(this, "\w+", (true|false)\)', flag.source)
        if struct is not None:
            return ["set" if struct[2] == "true" else "list", object_type(self._struct(struct[1]))]
        raise SchemaError(f"cannot tell the type of {name} from: {flag.source.strip()}")


def object_type(body: Body) -> Any:
    """The Terraform object type that holds a body."""
    members = {name: attribute["type"] for name, attribute in body["attributes"].items()}
    for name, block in body["block_types"].items():
        inner = object_type(block["block"])
        members[name] = inner if block["nesting_mode"] == "single" else [block["nesting_mode"], inner]
    return ["object", members]


def _arguments(text: str) -> dict[str, Argument]:
    return {
        name: Argument(block == "true", kind, storage) for name, block, kind, storage in _HCL.findall(text)
    }


def _flags(text: str) -> dict[str, Flags]:
    return {
        name: Flags(computed == "true", optional == "true", required == "true", source)
        for name, computed, optional, required, source in _FLAGS.findall(text)
    }


def _found(match: re.Match[str] | None, what: str) -> str:
    if match is None:
        raise SchemaError(f"the bindings state no {what}")
    return match[1]
