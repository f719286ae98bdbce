"""The plug-in protocol's messages: values in MessagePack, the schema in protobuf."""

import json
from collections.abc import Mapping
from typing import Any

import msgpack
from tf.gen import tfplugin_pb2 as pb

from equipment.values import UNKNOWN, Block

_NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}
_FLAGS = ("required", "optional", "computed")


def decode(value: Any) -> Any:
    """A DynamicValue as plain Python."""
    if value.msgpack:
        return msgpack.unpackb(value.msgpack, ext_hook=lambda code, data: UNKNOWN, strict_map_key=False)
    return json.loads(value.json) if value.json else None


def encode(value: Any) -> Any:
    """Plain Python as a DynamicValue."""
    return pb.DynamicValue(msgpack=msgpack.packb(value, default=_encode_unknown))


def _encode_unknown(value: Any) -> msgpack.ExtType:
    if value is UNKNOWN:
        return msgpack.ExtType(0, b"\0")
    raise TypeError(f"{type(value).__name__} is no Terraform value")


def path(attribute: str) -> Any:
    """The path of an attribute."""
    return pb.AttributePath(steps=[pb.AttributePath.Step(attribute_name=attribute)])


def error(summary: str, detail: str = "") -> Any:
    """An error diagnostic."""
    return pb.Diagnostic(severity=1, summary=summary, detail=detail)


def provider_schema(schema: Mapping[str, Mapping[str, Any]]) -> Any:
    """The answer to GetProviderSchema."""
    return pb.GetProviderSchema.Response(
        provider=_schema(schema["provider"]),
        provider_meta=pb.Schema(block=pb.Schema.Block()),
        resource_schemas={name: _schema(entry) for name, entry in schema["resource_schemas"].items()},
        data_source_schemas={name: _schema(entry) for name, entry in schema["data_source_schemas"].items()},
        server_capabilities=pb.ServerCapabilities(get_provider_schema_optional=True),
    )


def _schema(entry: Mapping[str, Any]) -> Any:
    return pb.Schema(version=entry["version"], block=_block(entry["block"]))


def _block(block: Block) -> Any:
    return pb.Schema.Block(
        attributes=[
            pb.Schema.Attribute(
                name=name,
                type=json.dumps(attribute["type"]).encode(),
                **{flag: True for flag in _FLAGS if attribute.get(flag)},
            )
            for name, attribute in sorted(block["attributes"].items())
        ],
        block_types=[
            pb.Schema.NestedBlock(
                type_name=name,
                block=_block(nested["block"]),
                nesting=_NESTING[nested["nesting_mode"]],
                min_items=nested.get("min_items", 0),
                max_items=nested.get("max_items", 0),
            )
            for name, nested in sorted(block["block_types"].items())
        ],
    )
