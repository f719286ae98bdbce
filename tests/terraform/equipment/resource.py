"""What a resource of the stand-in provider has to know to be planned and carried out."""

import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from equipment.arguments import Arguments
from equipment.values import UNKNOWN, State


class Gone(Exception):
    """The thing is not there any more."""


class Unsupported(Exception):
    """An operation that the stand-in lacks; a test that needs it must not pass as if it had happened."""


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
                self._clients[key].meta.events.register("before-parameter-build", _note_call)
            return self._clients[key]

    @property
    def account(self) -> str:
        return self.client("sts").get_caller_identity()["Account"]


def _note_call(params: State, model: Any, **_: Any) -> None:
    """Writes down each call to AWS, one line of JSON each, if STANDIN_CALLS names a file for it."""
    if file := os.environ.get("STANDIN_CALLS"):
        call = {"service": model.service_model.signing_name, "operation": model.name, "params": params}
        with Path(file).open("a") as lines:
            lines.write(json.dumps(call) + "\n")


class Resource(ABC):
    """One resource type. `create`, `update` and `read` take and return states; `read` raises Gone."""

    arguments: ClassVar[Arguments]
    """What it carries out: paths such as rule.status, with the values that each may have."""
    replaces: ClassVar[tuple[str, ...]] = ()
    """Arguments that cannot change in place (the provider's ForceNew)."""
    sensitive: ClassVar[tuple[str, ...]] = ()
    """Attributes that Terraform must not print."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Values of arguments that the configuration leaves out."""
    json_arguments: ClassVar[tuple[str, ...]] = ()
    """Arguments that hold JSON; another spelling of the same document is no change."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws

    def plan(self, prior: State | None, planned: State, config: State) -> State:
        """Completes a plan with what is already known."""
        if "region" in planned:
            planned["region"] = config["region"] or self.aws.region
        if "tags_all" in planned and planned["tags"] is not UNKNOWN:
            planned["tags_all"] = {**self.aws.default_tags, **(planned["tags"] or {})}
        return planned

    @abstractmethod
    def create(self, planned: State) -> State:
        """Make it."""

    @abstractmethod
    def read(self, state: State) -> State:
        """What is there now."""

    def update(self, prior: State, planned: State) -> State:
        """Change it in place; a type without this names every argument in `replaces`."""
        raise Unsupported(f"{type(self).__name__} cannot change in place")

    @abstractmethod
    def delete(self, state: State) -> None:
        """Remove it."""

    def refreshed(self, state: State) -> State:
        """`read`, with JSON in the spelling of the state where it means the same."""
        found = self.read(state)
        for name in self.json_arguments:
            if _same_json(state.get(name), found.get(name)):
                found[name] = state[name]
        return found

    def tags(self, found: Mapping[str, str]) -> State:
        """`tags` and `tags_all` for the tags that a thing has."""
        own = {key: value for key, value in found.items() if self.aws.default_tags.get(key) != value}
        return {"tags": own or None, "tags_all": dict(found)}


class DataSource(ABC):
    """One data source type."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws

    @abstractmethod
    def read(self, config: State) -> State:
        """What AWS says."""


@contextmanager
def gone_if(*codes: str) -> Iterator[None]:
    """Turns AWS's own "there is no such thing" errors into Gone."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in codes:
            raise Gone from error
        raise


def as_list(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Tags as most AWS calls want them."""
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def as_dict(tags: list[dict[str, str]]) -> dict[str, str]:
    """Tags as Terraform wants them."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def json_text(document: Any) -> str:
    """A policy as text, whether boto3 gave text or an object."""
    return document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))


def _same_json(one: Any, other: Any) -> bool:
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    try:
        return json.loads(one) == json.loads(other)
    except json.JSONDecodeError:
        return False
