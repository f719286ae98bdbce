"""The executable that Terraform starts as its AWS provider. Argument: the schema file."""

import functools
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tf.provider
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc
from tf.runner import run_provider

from equipment import wire
from equipment.aws import DATA_SOURCES, RESOURCES
from equipment.resource import Aws, Gone, Resource
from equipment.schema import PROVIDER
from equipment.values import UNKNOWN, Block, State, empty, with_unknowns, without_unknowns

Answer = dict[str, Any]


class Provider:
    """The provider, by its schema file."""

    def __init__(self, name: str, schema_file: Path) -> None:
        self.name = name
        self.schema = json.loads(schema_file.read_text())["provider_schemas"][name]

    def full_name(self) -> str:
        """Asked for by the package that does the handshake."""
        return self.name


def answers(response: Callable[..., Any]) -> Callable[..., Callable[..., Any]]:
    """Makes a method an answer to a call; an exception becomes an error that Terraform shows."""

    def decorate(method: Callable[[Any, Any], Answer]) -> Callable[..., Any]:
        @functools.wraps(method)
        def answer(self: Any, request: Any, context: Any) -> Any:
            try:
                return response(**method(self, request))
            except Exception as error:
                traceback.print_exc(file=sys.stderr)
                what = f"{method.__name__} {getattr(request, 'type_name', '')}: {error}"
                return response(diagnostics=[wire.error(what, type(error).__name__)])

        return answer

    return decorate


class Servicer(rpc.ProviderServicer):
    """One running provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._aws: Aws | None = None

    def _resource(self, name: str) -> Resource:
        if self._aws is None:
            raise RuntimeError("the provider is not configured")
        return Resource(RESOURCES[name], self._block(name), self._aws)

    def _block(self, name: str) -> Block:
        return self.provider.schema["resource_schemas"][name]["block"]

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        return wire.provider_schema(self.provider.schema)

    def GetFunctions(self, request: Any, context: Any) -> Any:
        return pb.GetFunctions.Response()

    def StopProvider(self, request: Any, context: Any) -> Any:
        return pb.StopProvider.Response()

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateDataResourceConfig.Response()

    @answers(pb.ConfigureProvider.Response)
    def ConfigureProvider(self, request: Any) -> Answer:
        self._aws = Aws(wire.decode(request.config))
        return {}

    @answers(pb.UpgradeResourceState.Response)
    def UpgradeResourceState(self, request: Any) -> Answer:
        stored = json.loads(request.raw_state.json)
        return {"upgraded_state": wire.encode({**empty(self._block(request.type_name)), **stored})}

    @answers(pb.ReadResource.Response)
    def ReadResource(self, request: Any) -> Answer:
        state = wire.decode(request.current_state)
        try:
            found = self._resource(request.type_name).read(state)
        except Gone:
            return {"new_state": wire.encode(None)}
        return {"new_state": wire.encode({**state, **found}), "private": request.private}

    @answers(pb.PlanResourceChange.Response)
    def PlanResourceChange(self, request: Any) -> Answer:
        prior, planned = wire.decode(request.prior_state), wire.decode(request.proposed_new_state)
        config = wire.decode(request.config)
        if planned is None:
            return {"planned_state": wire.encode(None)}
        resource, block = self._resource(request.type_name), self._block(request.type_name)
        planned = {**planned, **{k: v for k, v in resource.kind.defaults.items() if planned[k] is None}}
        replaced = [name for name in resource.kind.replaces if prior and planned[name] != prior[name]]
        if prior is None or replaced:
            planned = with_unknowns(block, planned if prior is None else _forget(block, planned, config))
        planned = resource.plan(planned, config)
        return {
            "planned_state": wire.encode(planned),
            "requires_replace": [wire.path(name) for name in replaced],
            "legacy_type_system": True,  # as the real one: lets an argument have a default
        }

    @answers(pb.ApplyResourceChange.Response)
    def ApplyResourceChange(self, request: Any) -> Answer:
        prior, planned = wire.decode(request.prior_state), wire.decode(request.planned_state)
        resource, block = self._resource(request.type_name), self._block(request.type_name)
        try:
            state = _carry_out(resource, prior, planned)
        except Exception as error:  # the prior state stays, as in the real provider
            traceback.print_exc(file=sys.stderr)
            what = "deleting" if planned is None else "creating" if prior is None else "updating"
            problem = wire.error(f"{what} {request.type_name}: {error}", type(error).__name__)
            return {"new_state": wire.encode(prior), "diagnostics": [problem]}
        if state is not None:
            state = without_unknowns(block, state)
        return {"new_state": wire.encode(state), "legacy_type_system": True}

    @answers(pb.ImportResourceState.Response)
    def ImportResourceState(self, request: Any) -> Answer:
        name = RESOURCES[request.type_name].id.strip("{}")
        state = {**empty(self._block(request.type_name)), "id": request.id, name: request.id}
        imported = pb.ImportResourceState.ImportedResource(
            type_name=request.type_name, state=wire.encode(state)
        )
        return {"imported_resources": [imported]}

    @answers(pb.ReadDataSource.Response)
    def ReadDataSource(self, request: Any) -> Answer:
        if self._aws is None:
            raise RuntimeError("the provider is not configured")
        config = wire.decode(request.config)
        return {"state": wire.encode({**config, **DATA_SOURCES[request.type_name](self._aws)})}


def _forget(block: Block, planned: State, config: State) -> State:
    """Before a replacement: what AWS had computed for the old thing does not hold for the new one."""
    computed = {name for name, attribute in block["attributes"].items() if attribute.get("computed")}
    return {name: config[name] if name in computed else value for name, value in planned.items()}


def _carry_out(resource: Resource, prior: State | None, planned: State | None) -> State | None:
    if planned is None:
        if prior is not None:
            resource.delete(prior)
        return None
    if prior is None:
        return {**planned, **resource.create(dict(planned))}
    known = {name: value for name, value in planned.items() if value is not UNKNOWN}
    return {**planned, **resource.update(prior, {**prior, **known})}


if __name__ == "__main__":
    # The package's own servicer knows no list blocks and no nested unknowns; its handshake is what we need.
    tf.provider.ProviderServicer = Servicer
    run_provider(Provider(PROVIDER, Path(sys.argv[1])), [sys.argv[0]])
