"""The stand-in provider keeps the rules of Terraform's protocol, and the command behaves like Terraform."""

from pathlib import Path
from typing import Any

import pytest
from conftest import MakeWorkspace
from equipment import wire
from equipment.arguments import anything
from equipment.cloud import Cloud
from equipment.installation import Installation
from equipment.resource import Aws, Gone, Resource
from equipment.servicer import Provider, Servicer
from equipment.values import UNKNOWN, State, empty, with_unknowns, without_unknowns
from equipment.workspace import Workspace
from hypothesis import given
from hypothesis import strategies as st
from tf.gen import tfplugin_pb2 as pb

INNER = {"attributes": {"size": {"type": "number", "computed": True, "optional": True}}, "block_types": {}}
BLOCK: dict[str, Any] = {
    "attributes": {
        "id": {"type": "string", "computed": True},
        "name": {"type": "string", "required": True},
        "mode": {"type": "string", "optional": True},
        "document": {"type": "string", "optional": True},
    },
    "block_types": {"part": {"nesting_mode": "list", "block": INNER}},
}
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.just(UNKNOWN)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


class Thing(Resource):
    """A thing in a dict instead of AWS."""

    arguments = anything("name", "mode", "document")
    replaces = ("name",)
    defaults = {"mode": "plain"}  # noqa: RUF012
    json_arguments = ("document",)
    things: dict[str, State] = {}  # noqa: RUF012

    def create(self, planned: State) -> State:
        if planned["name"] == "refused":
            raise ValueError("no such name")
        self.things[planned["name"]] = planned
        return {"id": planned["name"]}

    def read(self, state: State) -> State:
        if state["id"] not in self.things:
            raise Gone
        return {"document": self.things[state["id"]]["document"]}

    def update(self, prior: State, planned: State) -> State:
        self.things[prior["id"]] = planned
        return {}

    def delete(self, state: State) -> None:
        del self.things[state["id"]]


@pytest.fixture
def servicer(tmp_path: Path) -> Servicer:
    file = tmp_path / "schema.json"
    file.write_text(
        '{"provider_schemas": {"test": {"provider": {"version": 0, "block": '
        '{"attributes": {}, "block_types": {}}}, "resource_schemas": {}, "data_source_schemas": {}}}}'
    )
    provider = Provider("test", file, {"thing": Thing}, {})
    provider.schema["resource_schemas"]["thing"] = {"version": 0, "block": BLOCK}
    servicer = Servicer(provider)
    servicer._aws = Aws({"region": "eu-west-1", "default_tags": []})
    Thing.things.clear()
    return servicer


def thing(**values: Any) -> State:
    return {**empty(BLOCK), **values}


def plan(servicer: Servicer, prior: State | None, proposed: State, config: State) -> Any:
    request = pb.PlanResourceChange.Request(
        type_name="thing",
        prior_state=wire.encode(prior),
        proposed_new_state=wire.encode(proposed),
        config=wire.encode(config),
    )
    return servicer.PlanResourceChange(request, None)


def apply(servicer: Servicer, prior: State | None, planned: State | None) -> Any:
    request = pb.ApplyResourceChange.Request(
        type_name="thing", prior_state=wire.encode(prior), planned_state=wire.encode(planned)
    )
    return servicer.ApplyResourceChange(request, None)


@given(VALUES)
def test_every_value_survives_the_wire(value: Any) -> None:
    assert wire.decode(wire.encode(value)) == value


def test_a_value_that_terraform_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="set is no Terraform value"):
        wire.encode({"a": set()})


def test_an_unknown_value_cannot_decide_anything() -> None:
    with pytest.raises(TypeError):
        bool(UNKNOWN)


def test_before_a_creation_only_what_aws_fills_in_is_unknown() -> None:
    planned = with_unknowns(BLOCK, thing(name="a", part=[{"size": None}, {"size": 3}]))
    assert planned["id"] is UNKNOWN and planned["mode"] is None
    assert planned["part"] == [{"size": UNKNOWN}, {"size": 3}]
    assert without_unknowns(BLOCK, planned) == thing(name="a", part=[{"size": None}, {"size": 3}])


def test_a_plan_fills_in_defaults_and_leaves_the_id_open(servicer: Servicer) -> None:
    planned = wire.decode(plan(servicer, None, thing(name="a"), thing(name="a")).planned_state)
    assert (planned["mode"], planned["id"]) == ("plain", UNKNOWN)


def test_a_change_of_a_fixed_argument_is_a_replacement_with_a_new_id(servicer: Servicer) -> None:
    prior = thing(id="a", name="a", mode="plain")
    answer = plan(servicer, prior, {**prior, "name": "b"}, thing(name="b"))
    assert [path.steps[0].attribute_name for path in answer.requires_replace] == ["name"]
    assert wire.decode(answer.planned_state)["id"] is UNKNOWN


def test_a_change_of_another_argument_is_none(servicer: Servicer) -> None:
    prior = thing(id="a", name="a", mode="plain")
    answer = plan(servicer, prior, {**prior, "mode": "other"}, thing(name="a", mode="other"))
    assert list(answer.requires_replace) == []
    assert wire.decode(answer.planned_state)["id"] == "a"


def test_a_failed_creation_leaves_no_state_and_says_why(servicer: Servicer) -> None:
    answer = apply(servicer, None, thing(name="refused", id=UNKNOWN))
    assert wire.decode(answer.new_state) is None
    assert answer.diagnostics[0].summary == "creating thing: no such name"


def test_a_failed_deletion_keeps_the_state(servicer: Servicer) -> None:
    prior = thing(id="never made", name="a")
    answer = apply(servicer, prior, None)
    assert wire.decode(answer.new_state) == prior
    assert answer.diagnostics[0].summary.startswith("deleting thing")


def read(servicer: Servicer, state: State) -> State | None:
    request = pb.ReadResource.Request(type_name="thing", current_state=wire.encode(state))
    return wire.decode(servicer.ReadResource(request, None).new_state)


def test_what_is_gone_is_read_as_nothing(servicer: Servicer) -> None:
    assert read(servicer, thing(id="a", name="a")) is None


def test_json_in_another_spelling_is_no_change_and_other_json_is(servicer: Servicer) -> None:
    state = thing(id="a", name="a", document='{"a": 1, "b": 2}')
    Thing.things["a"] = {"document": '{"b":2,"a":1}'}
    assert read(servicer, state) == state
    Thing.things["a"] = {"document": '{"b":2}'}
    assert read(servicer, state) == {**state, "document": '{"b":2}'}


def test_a_provider_that_is_not_configured_says_so(servicer: Servicer) -> None:
    servicer._aws = None
    answer = plan(servicer, None, thing(name="a"), thing(name="a"))
    assert "not configured" in answer.diagnostics[0].summary


@pytest.fixture
def scratch(installation: Installation, session_cloud: Cloud, tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, installation, session_cloud.endpoint)


def test_the_command_is_terraform_s_real_core(scratch: Workspace) -> None:
    assert scratch.run("version").stdout.startswith("Terraform v1.15.")


def test_the_command_ends_with_terraform_s_exit_code(scratch: Workspace) -> None:
    assert scratch.run("validate", "-no-such-flag", codes=(1,)).code == 1
    (scratch.folder / "main.tf").write_text('resource "terraform_data" "a" {}\n')
    scratch.init()
    assert scratch.plan().code == 2


def test_the_command_reads_answers_from_its_input(scratch: Workspace) -> None:
    (scratch.folder / "main.tf").write_text('resource "terraform_data" "a" {}\n')
    scratch.init()
    run = scratch.start("apply")
    output, _ = run.communicate("no\n", timeout=60)
    assert run.returncode == 1 and "Apply cancelled" in output


def test_arguments_that_the_provider_does_not_have_are_refused(scratch: Workspace) -> None:
    wrong = {
        'bucket_name = "x"': "is not expected here",
        "tags = [1]": "Inappropriate value for attribute",
    }
    for argument, message in wrong.items():
        resource = f'resource "aws_s3_bucket" "a" {{\n  {argument}\n}}\n'
        (scratch.folder / "main.tf").write_text(resource)
        scratch.init()
        assert message in scratch.run("validate", codes=(1,)).text


def test_a_bucket_policy_is_enforced_by_the_account_in_memory(cloud: Cloud, workspace: MakeWorkspace) -> None:
    s3 = cloud.client("s3", "us-east-1")
    s3.create_bucket(Bucket="closed")
    s3.put_object(Bucket="closed", Key="before", Body=b"")
    deny = '{"Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"*"}]}'
    s3.put_bucket_policy(Bucket="closed", Policy=deny)
    assert s3.get_object(Bucket="closed", Key="before")["Body"].read() == b""
    with pytest.raises(s3.exceptions.ClientError):
        s3.put_object(Bucket="closed", Key="after", Body=b"")
