"""The uploader's secret key is the one secret here, and it shows up only where it is marked sensitive."""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import PATH_STYLE, MakeWorkspace
from equipment.cloud import Cloud
from equipment.workspace import Workspace


@pytest.fixture(scope="module")
def transcript(cloud: Cloud, state_bucket: str, workspace: MakeWorkspace) -> tuple[Workspace, list[str]]:
    """A whole life of the module, with everything that each command printed or logged."""
    module = workspace()
    module.environment["TF_LOG"] = "TRACE"
    said: list[str] = []

    def run(*arguments: str) -> None:
        result = module.run(*arguments, codes=(0, 2))
        said.append(f"{arguments}\n{result.stdout}\n{result.stderr}")

    run("init", "-input=false", PATH_STYLE)
    run("plan", "-out=tfplan")
    run("apply", "tfplan")
    run("plan", "-detailed-exitcode", "-var=owner=somebody", "-out=tfplan")
    run("apply", "-json", "tfplan")
    run("plan", "-json", '-var=access_keys={first="Inactive",second="Active"}', "-out=tfplan")
    run("show", "tfplan")
    run("show")
    run("output")
    run("state", "show", 'aws_iam_access_key.uploader["first"]')
    del module.environment["TF_LOG"]
    return module, said


@pytest.fixture(scope="module")
def secret(transcript: tuple[Workspace, list[str]]) -> str:
    module, _ = transcript
    found = module.run("output", "-raw", "secret_access_key").stdout
    assert len(found) == 40
    return found


def test_nothing_that_terraform_prints_or_logs_holds_the_secret(
    transcript: tuple[Workspace, list[str]], secret: str
) -> None:
    _, said = transcript
    leaks = [text.splitlines()[0] for text in said if secret in text]
    assert leaks == []


def test_the_secret_is_shown_as_sensitive(transcript: tuple[Workspace, list[str]]) -> None:
    _, said = transcript
    outputs = next(text for text in said if text.startswith("('output',)"))
    assert "secret_access_key = <sensitive>" in outputs


def test_outputs_that_hold_the_secret_are_marked_sensitive(
    transcript: tuple[Workspace, list[str]], secret: str
) -> None:
    module, _ = transcript
    outputs = module.run("output", "-json").json()
    holding = {name for name, output in outputs.items() if secret in str(output["value"])}
    assert holding == {"secret_access_key"}
    assert {name for name, output in outputs.items() if output["sensitive"]} == holding


def paths(value: Any, secret: str, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a value the secret is."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, secret, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, secret, (*at, index))
    elif isinstance(value, str) and secret in value:
        yield at


def test_resources_that_hold_the_secret_mark_it_sensitive(
    transcript: tuple[Workspace, list[str]], secret: str
) -> None:
    module, _ = transcript
    resources = module.run("show", "-json").json()["values"]["root_module"]["resources"]
    found = 0
    for resource in resources:
        for path in paths(resource["values"], secret):
            marks = resource["sensitive_values"]
            for step in path:
                marks = marks[step] if not isinstance(marks, bool) else marks
            assert marks is True, f"{resource['address']}: {path}"
            found += 1
    assert found == 1
