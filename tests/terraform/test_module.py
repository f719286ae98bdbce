"""The files themselves: complete, documented and well formed; test_front_door.py runs their own tests."""

import re
from pathlib import Path

import pytest
from conftest import MakeWorkspace
from equipment.installation import PROVIDER_VERSION
from equipment.template import ANSWERS, TEMPLATE

MODULES = ("s3-backup", "state-bootstrap")
VARIABLE = re.compile(r'^variable "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


def texts(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(folder.glob("*.tf"))}


@pytest.mark.parametrize("module", MODULES)
def test_blocks_are_set_apart_by_one_blank_line(module: str, workspace: MakeWorkspace) -> None:
    for name, text in texts(workspace(module).folder).items():
        assert not re.search(r"^\}\n(?!\n|$)", text, re.MULTILINE), name
        assert "\n\n\n" not in text, name


def test_the_template_is_formatted_hcl_before_it_is_rendered(workspace: MakeWorkspace) -> None:
    module = workspace()
    module.run("fmt", "-check", "-recursive", str(TEMPLATE))


def test_the_examples_are_formatted_and_only_set_variables_that_exist(workspace: MakeWorkspace) -> None:
    module = workspace()
    for example in module.folder.glob("*.example"):
        example.rename(example.with_suffix(""))
    module.run("fmt", "-check")
    names = {name for name, _ in VARIABLE.findall((module.folder / "variables.tf").read_text())}
    values = (module.folder / "terraform.tfvars").read_text()
    assert set(re.findall(r"^(\w+) +=", values, re.MULTILINE)) <= names


def test_the_example_variables_give_the_same_plan_as_the_defaults(workspace: MakeWorkspace) -> None:
    module = workspace(local=True)
    (module.folder / "terraform.tfvars.example").rename(module.folder / "terraform.tfvars")
    module.plan()
    variables = module.run("show", "-json", "tfplan").json()["variables"]
    found = {name: variables[name]["value"] for name in ANSWERS if name in variables}
    no_variables = ("project_slug", "github_environments")
    assert found == {name: value for name, value in ANSWERS.items() if name not in no_variables}


@pytest.mark.parametrize("name", MODULES)
def test_every_variable_has_a_description_a_type_and_a_default(name: str) -> None:
    for variable, body in VARIABLE.findall((TEMPLATE / name / "variables.tf").read_text()):
        for argument in ("description", "type", "default"):
            assert re.search(rf"^  {argument} +=", body, re.MULTILINE), f"{variable} has no {argument}"
        assert "validation {" in body or "type        = bool" in body, f"{variable} takes anything"


@pytest.mark.parametrize("name", MODULES)
def test_every_validation_is_broken_by_a_test_of_the_module(name: str) -> None:
    text = (TEMPLATE / name / "variables.tf").read_text()
    validated = {variable for variable, body in VARIABLE.findall(text) if "validation {" in body}
    tests = "".join(file.read_text() for file in (TEMPLATE / name / "tests").glob("*.tftest.hcl"))
    assert set(re.findall(r"expect_failures = \[var\.(\w+)\]", tests)) == validated


@pytest.mark.parametrize("name", MODULES)
def test_every_refusal_names_its_field(name: str) -> None:
    for variable, body in VARIABLE.findall((TEMPLATE / name / "variables.tf").read_text()):
        for message in re.findall(r'error_message = "(.*)"$', body, re.MULTILINE):
            assert message.startswith(f"{variable}: "), message


@pytest.mark.parametrize("name", MODULES)
def test_terraform_and_the_provider_are_pinned_to_what_is_tested(name: str) -> None:
    text = (TEMPLATE / name / "provider.tf").read_text()
    assert 'required_version = ">= 1.9.0, < 2.0.0"' in text
    assert f'version = "~> {PROVIDER_VERSION.rsplit(".", 1)[0]}"' in text


def test_the_state_is_encrypted_and_locked_without_a_flag_to_forget() -> None:
    text = (TEMPLATE / "s3-backup" / "provider.tf").read_text()
    assert re.search(r"encrypt +=\s+true", text) and re.search(r"use_lockfile +=\s+true", text)


def test_the_document_s_files_and_backend_are_there() -> None:
    files = texts(TEMPLATE / "s3-backup")
    assert {"main.tf", "variables.tf", "outputs.tf", "provider.tf"} <= set(files)
    assert 'key          = "mailserver/s3-backup/terraform.tfstate"' in files["provider.tf"]
    older = (TEMPLATE / "s3-backup" / "dynamodb_override.tf.example").read_text()
    assert 'dynamodb_table = "terraform-state-lock"' in older
    assert "terraform.tfvars" in (TEMPLATE / ".gitignore").read_text().splitlines()


def test_files_stay_short_enough_to_read() -> None:
    for name in MODULES:
        for file, text in texts(TEMPLATE / name).items():
            assert len(text.splitlines()) < 300, f"{name}/{file}"
