"""Generated repositories that the tests of the gate share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter
from gate_run import git
from hypothesis import HealthCheck, settings
from judging import Judge

from policies.readers import Repository

#: The same examples on every machine and in every run: what fails in CI fails here. It may be busy.
settings.register_profile(
    "gate", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gate")

TEMPLATE = Path(__file__).parents[2]
Generate = Callable[..., Path]


@pytest.fixture(scope="session")
def generate(tmp_path_factory: pytest.TempPathFactory) -> Generate:
    """Return a function that generates a repository for some answers, once for the same ones."""
    folder = tmp_path_factory.mktemp("generated")
    config = folder / "config.json"
    private = {"cookiecutters_dir": str(folder / "cache"), "replay_dir": str(folder / "replay")}
    config.write_text(json.dumps(private), encoding="utf-8")
    made: dict[str, Path] = {}

    def generated(answers: Mapping[str, object] | None = None) -> Path:
        key = json.dumps(answers or {}, sort_keys=True)
        if key not in made:
            out = str(folder / f"{len(made):03}")
            context = dict(answers or {})
            path = cookiecutter(
                str(TEMPLATE), no_input=True, extra_context=context, output_dir=out, config_file=str(config)
            )
            made[key] = Path(path)
        return made[key]

    return generated


@pytest.fixture(scope="session")
def judge(generate: Generate) -> Callable[[Mapping[str, object]], Judge]:
    """Return a function that gives the judge of the repository for some answers."""
    judges: dict[Path, Judge] = {}

    def judge(answers: Mapping[str, object]) -> Judge:
        root = generate(answers)
        if root not in judges:
            judges[root] = Judge(root)
        return judges[root]

    return judge


@pytest.fixture
def repository(generate: Generate, tmp_path: Path) -> Path:
    """A generated repository that a test may change."""
    return Path(shutil.copytree(generate(), tmp_path / "repository", symlinks=True))


@pytest.fixture(scope="session")
def committed(generate: Generate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated repository in git, which nobody changes."""
    root = tmp_path_factory.mktemp("committed") / "repository"
    shutil.copytree(generate(), root, symlinks=True)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "generated")
    return root


@pytest.fixture
def tracked(committed: Path, tmp_path: Path) -> Path:
    """A generated repository in git that a test may change."""
    return Path(shutil.copytree(committed, tmp_path / "repository", symlinks=True))


@pytest.fixture
def modules(tmp_path):
    """Return a function that writes Terraform files and returns the modules that they make."""

    def read(files: dict[str, str]):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        repository = Repository(tmp_path)
        found = repository.modules
        assert [problem.what for problem in repository.problems] == []
        return found

    return read
