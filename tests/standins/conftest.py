"""The stand-ins that the tests here start: built if they are missing; their containers are removed after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.standins.hardened import Container
from tools import engine, standins
from tools.standin_images import Table


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts containers."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def table() -> Table:
    """All stand-ins, built."""
    engine.ensure(with_debootstrap=True)
    table = Table()
    with standins.shown_progress() as progress:
        standins.build(progress, table=table)
    return table


@pytest.fixture(scope="module")
def start(table: Table) -> Iterator[Callable[..., Container]]:
    """Start a stand-in by its name, as in ``start("nginx", "--user=101")``; the file's last test ends it."""
    running: list[Container] = []
    tags = {image.name: table.built_tag(image) for image in table.images.values()}

    def starter(name: str, *options: str, command: tuple[str, ...] = ()) -> Container:
        container = Container(tags[name], options, command)
        running.append(container)
        return container.start()

    yield starter
    for container in running:
        container.remove()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to mount from, readable by every user inside."""
    path = tmp_path_factory.mktemp("mounts")
    for parent in (path, *path.parents):
        if parent.stat().st_uid == path.stat().st_uid and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    return path
