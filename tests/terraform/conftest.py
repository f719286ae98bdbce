"""One AWS in memory and one Terraform for the whole run; modules are applied once a file."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from equipment.cloud import Cloud
from equipment.installation import Installation, install
from equipment.template import ANSWERS, render
from equipment.workspace import Workspace

# moto answers under localhost, where a bucket cannot be a host name.
PATH_STYLE = "-backend-config=use_path_style=true"

MakeWorkspace = Callable[..., Workspace]


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def session_cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def cloud(session_cloud: Cloud) -> Cloud:
    """The account, empty at the start of each file."""
    session_cloud.reset()
    return session_cloud


@pytest.fixture(scope="session")
def workspace(
    installation: Installation, session_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> MakeWorkspace:
    """Renders the template with answers and gives a module; `local`: initialised, its state beside it."""

    def make(
        module: str = "s3-backup", answers: Mapping[str, Any] | None = None, local: bool = False
    ) -> Workspace:
        folder: Path = render(tmp_path_factory.mktemp("repository") / "terraform", answers)
        made = Workspace(folder / module, installation, session_cloud.endpoint)
        if local:
            (made.folder / "local_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
            made.init()
        return made

    return make


@pytest.fixture(scope="module")
def state_bucket(cloud: Cloud, workspace: MakeWorkspace) -> str:
    """The state bucket, made by state-bootstrap as an operator would."""
    bootstrap = workspace("state-bootstrap")
    bootstrap.init()
    bootstrap.plan_and_apply("-var=create_lock_table=true")
    return ANSWERS["state_bucket"]


@pytest.fixture(scope="module")
def applied(state_bucket: str, workspace: MakeWorkspace) -> Workspace:
    """The backup module, initialised with its S3 backend and applied with the GitHub roles."""
    module = workspace()
    numbers = {"github_owner_id": "123456", "github_repository_id": "456789"}
    github = {"github_repository": "example/mailserver", **numbers}
    module.environment |= {f"TF_VAR_{name}": value for name, value in github.items()}
    module.init(PATH_STYLE)
    module.plan_and_apply()
    return module
