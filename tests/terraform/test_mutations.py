"""The module's own tests notice when a protection is taken out of it."""

from pathlib import Path

import pytest
import yaml
from conftest import MakeWorkspace
from equipment.workspace import Workspace

Edit = dict[str, str]
EDITS: dict[str, Edit] = yaml.safe_load(Path(__file__).with_name("harmful-edits.yml").read_text())
NAMED = {name: edit for name, edit in EDITS.items() if "complaint" in edit}
BLIND = {name: edit for name, edit in EDITS.items() if name not in NAMED}
#: The files whose tests are those of identities.
IDENTITIES = ("github.tf", "github-permissions.tf", "restore.tf", "uploader.tf")


@pytest.fixture(scope="module")
def module(workspace: MakeWorkspace) -> Workspace:
    module = workspace()
    module.init("-backend=false")
    return module


def failure(module: Workspace, edit: Edit) -> str:
    """What the module's own tests say of an edit; nothing if they pass."""
    path = module.folder / edit["file"]
    original = path.read_text()
    assert edit["before"] in original
    path.write_text(original.replace(edit["before"], edit["after"]))
    tests = "identities" if edit["file"] in IDENTITIES else "security"
    result = module.run("test", f"-filter=tests/{tests}.tftest.hcl", codes=(0, 1))
    path.write_text(original)
    return result.text if result.code else ""


@pytest.mark.parametrize("name", NAMED)
def test_the_module_s_own_tests_fail_for(name: str, module: Workspace) -> None:
    assert NAMED[name]["complaint"] in failure(module, NAMED[name])


def test_the_module_s_own_tests_notice_harmful_edits(module: Workspace) -> None:
    unnoticed = [name for name, edit in BLIND.items() if not failure(module, edit)]
    assert len(BLIND) >= 22
    assert len(unnoticed) <= len(BLIND) // 11, unnoticed
