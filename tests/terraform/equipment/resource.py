"""Carries out a resource by boto3: a row of aws.yml says with which calls.

A parameter of a call gets its value from the attribute of the same name: AlarmName is alarm_name, Rules is
rule. botocore's model says what a parameter looks like and which values it may have, so neither is written
down here.
"""

import json
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from equipment.values import UNKNOWN, Block, State

#: What the provider alone knows, or what is in the client: no call has a parameter for them.
NEVER_SENT: Final = {"region", "tags", "tags_all", "force_destroy", "id"}


class Gone(Exception):
    """The thing is not there any more."""


class Unsupported(Exception):
    """Something that the stand-in lacks; a test that needs it must not pass as if it had happened."""


def nothing(*_: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Kind:
    """A resource type: the calls that make, read, change and remove it, and where names differ."""

    service: str
    create: Sequence[str]
    read: str
    #: Without one it goes with what it is a part of.
    delete: str = ""
    #: Without any, a change in place is refused.
    update: Sequence[str] = ()
    #: Its id, of the attributes and of the answer to the first call.
    id: str = "{name}"
    #: Parameter: attribute, where the names differ.
    names: Mapping[str, str] = field(default_factory=dict)
    #: A parameter whose members are attributes of the resource itself.
    inside: str = ""
    #: The part of an answer that is about the resource.
    part: str = ""
    #: Further parameters of its calls, by the state.
    given: Callable[[State], Mapping[str, Any]] = nothing
    #: Attributes that an answer says in another way, by client, answer, and the attributes before and now.
    found: Callable[[Any, Any, State, State], State] = nothing
    #: The call that lists its tags, if no other does.
    tags: str = ""
    gone: Sequence[str] = ()
    #: Arguments that cannot change in place (the provider's ForceNew).
    replaces: Sequence[str] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    #: Arguments that hold JSON; another spelling of the same document is no change.
    json: Sequence[str] = ()


class Aws:
    """The configured provider: its region, default tags, and boto3 clients (made when first needed)."""

    def __init__(self, config: State) -> None:
        self.region: str = config["region"] or os.environ["AWS_REGION"]
        blocks = config.get("default_tags") or [{}]
        self.default_tags: dict[str, str] = blocks[0].get("tags") or {}
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()  # boto3 makes clients for one thread at a time only

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client; its endpoint comes from AWS_ENDPOINT_URL."""
        import boto3  # validate and test need none, and importing it takes half a second
        from botocore.config import Config

        key = (service, region or self.region)
        with self._making:
            if key not in self._clients:
                config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
                self._clients[key] = boto3.client(service, region_name=key[1], config=config)
            return self._clients[key]


class Resource:
    """A resource type of a configured provider."""

    def __init__(self, kind: Kind, block: Block, aws: Aws) -> None:
        self.kind, self.block, self.aws = kind, block, aws

    def plan(self, planned: State, config: State) -> State:
        """Completes a plan with what is already known."""
        if "region" in planned:
            planned["region"] = config["region"] or self.aws.region
        if "tags_all" in planned and planned["tags"] is not UNKNOWN:
            planned["tags_all"] = {**self.aws.default_tags, **(planned["tags"] or {})}
        return planned

    def create(self, planned: State) -> State:
        self._refuse_what_no_call_takes(planned)
        answers = [self._call(method, planned) for method in self.kind.create]
        return self.read({**planned, "id": self.kind.id.format(**{**planned, **_flat(answers[0])})})

    def read(self, state: State) -> State:
        """What is there now, with JSON in the spelling of the state where it means the same."""
        from botocore.exceptions import ClientError

        try:
            found = {**state, **self._found(state)}
        except ClientError as error:
            if error.response["Error"]["Code"] in self.kind.gone:
                raise Gone from error
            raise
        found |= dict.fromkeys(name for name, value in found.items() if state[name] is None and not value)
        found |= {name: value for name, value in self.kind.defaults.items() if found[name] is None}
        found |= {name: _spelt(found[name], state[name]) for name in self.kind.json}
        if "tags_all" in found:
            found["tags_all"] = found["tags_all"] or {}
            found["tags"] = dict(found["tags_all"].items() - self.aws.default_tags.items()) or None
        return found

    def _found(self, state: State) -> State:
        answer = self._call(self.kind.read, state)
        about = answer.get(self.kind.part, answer)
        if isinstance(about, list):
            about = next(iter(about), None)
        if not about:
            raise Gone
        now = from_api(self.block, about, self._attribute)
        # a name is seldom said again, and a thing that is found has it still
        now = {
            name: value for name, value in now.items() if value is not None or name not in self.kind.replaces
        }
        if self.kind.tags:
            tags = self._call(self.kind.tags, {**state, **now})
            now |= from_api(self.block, tags, self._attribute, only="tags_all")
        return {**now, **self.kind.found(self._client(state), about, state, now)}

    def update(self, prior: State, planned: State) -> State:
        """Changes it in place."""
        if not self.kind.update:
            raise Unsupported("cannot change in place")
        for method in self.kind.update:
            self._call(method, {**planned, "id": prior["id"]})
        return self.read({**planned, "id": prior["id"]})

    def delete(self, state: State) -> None:
        if self.kind.delete:
            self._call(self.kind.delete, state)

    def _client(self, state: State) -> Any:
        return self.aws.client(self.kind.service, state.get("region"))

    def _call(self, method: str, state: State) -> Any:
        client = self._client(state)
        shape = _input(client, method)
        given = {name: each for name, each in self.kind.given(state).items() if name in shape.members}
        return getattr(client, method)(**{**self._parameters(shape, state, given), **given})

    def _parameters(self, shape: Any, state: State, given: Collection[str] = ()) -> dict[str, Any]:
        """A call's parameters, as far as the state has attributes of their names."""
        found = {}
        for name, member in shape.members.items():
            if name == self.kind.inside:
                found[name] = self._parameters(member, state)
                continue
            attribute = self._attribute(name, state)
            if attribute and name not in given and _is_set(state[attribute]):
                found[name] = to_api(member, state[attribute], self._attribute)
        return found

    def _attribute(self, member: str, among: Mapping[str, Any]) -> str | None:
        """The attribute that a parameter is about."""
        if member in self.kind.names:
            return self.kind.names[member] if self.kind.names[member] in among else None
        names = (member.lower(), member.lower().removesuffix("s"))
        return next((each for each in among if each.replace("_", "") in names), None)

    def _refuse_what_no_call_takes(self, planned: State) -> None:
        taken = NEVER_SENT | set(self.kind.names.values()) | self.kind.defaults.keys()
        for method in self.kind.create:
            shape = _input(self._client(planned), method)
            inner = shape.members[self.kind.inside].members if self.kind.inside in shape.members else {}
            taken |= {str(self._attribute(name, planned)) for name in (*shape.members, *inner)}
        if unknown := {name for name, value in planned.items() if _is_set(value)} - taken:
            raise Unsupported(f"no call takes {', '.join(sorted(unknown))}: teach it to the stand-in")


Names = Callable[[str, Mapping[str, Any]], str | None]


def to_api(shape: Any, value: Any, names: Names) -> Any:
    """A value of Terraform as a call wants it."""
    if shape.type_name == "structure":
        value = value[0] if isinstance(value, list) and isinstance(value[0], dict) else value
        if not isinstance(value, dict):  # a list that the call wraps once more
            return {name: to_api(member, value, names) for name, member in shape.members.items()}
        pairs = {name: names(name, value) for name in shape.members}
        given = {attribute for attribute, each in value.items() if _is_set(each)}
        if unknown := given - set(pairs.values()):
            raise Unsupported(f"{shape.name} has no {', '.join(sorted(unknown))}")
        return {
            name: to_api(shape.members[name], value[attribute], names)
            for name, attribute in pairs.items()
            if attribute in given
        }
    if shape.type_name == "list" and isinstance(value, dict):
        key, inner = list(shape.member.members)  # a map, such as tags: Key and Value, or Name and Value
        return [{key: name, inner: each} for name, each in value.items()]
    if shape.type_name == "list":
        return [to_api(shape.member, each, names) for each in value]
    if getattr(shape, "enum", None) and value not in shape.enum:
        raise Unsupported(f"AWS knows no {value!r}")
    return int(value) if shape.type_name in ("integer", "long") else value


def from_api(block: Block, found: Mapping[str, Any], names: Names, only: str = "") -> State:
    """What an answer says of the attributes and blocks of a resource; what it could say, null."""
    attributes, blocks = block["attributes"], block["block_types"]
    every = {**attributes, **blocks}
    answers = {attribute: each for name, each in found.items() if (attribute := names(name, every))}
    if only:
        return {only: _plain(attributes[only], answers[only])}
    state = {name: _plain(attributes[name], answers[name]) for name in attributes if name in answers}
    for name, attribute in attributes.items():
        if not attribute.get("computed"):
            state.setdefault(name, None)
    for name, nested in blocks.items():
        value = answers.get(name, [])
        if nested["nesting_mode"] != "single":
            items = value if isinstance(value, list) else [value]
            empty = dict.fromkeys(nested["block"]["attributes"])
            state[name] = [{**empty, **from_api(nested["block"], each, names)} for each in items]
    return state


def _plain(attribute: Mapping[str, Any], value: Any) -> Any:
    match attribute["type"], value:
        case ["map", "string"], list():
            return {each.get("Key", each.get("Name")): each["Value"] for each in value}
        case "number", _:
            return value or None  # moto says 0 where AWS says nothing
        case "bool", str():
            return value == "true"
        case "string", datetime():
            return value.isoformat()
    return value


def _is_set(value: Any) -> bool:
    return value is not None and value is not UNKNOWN and value != []


def _input(client: Any, method: str) -> Any:
    return client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape


def _flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer and what is directly in its parts, such as the ARN of a new policy."""
    parts = [each for name, each in answer.items() if isinstance(each, dict) and name != "ResponseMetadata"]
    return {name: each for part in (answer, *parts) for name, each in part.items()}


def _spelt(found: Any, before: Any) -> Any:
    """A document as text, as it was spelt before if it means the same."""
    text = found if isinstance(found, str) else json.dumps(found, separators=(",", ":"))
    same = isinstance(before, str) and json.loads(before) == json.loads(text)
    return before if same else text
