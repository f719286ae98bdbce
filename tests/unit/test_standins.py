"""Choosing between upstream images and stand-ins, and the command line, without an engine."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.fake_docker import DIGEST, Fake
from tools import engine, standins
from tools.standin_images import StandinError


def test_upstream_images_are_chosen_when_a_registry_answers(docker: Fake, project: Path) -> None:
    docker.pull_does("exit 0")
    choice = standins.choose(project)
    assert not choice.standins
    assert choice.line == "Images: the upstream images, because the image registry answers."


def test_the_smallest_image_is_the_one_that_is_tried(docker: Fake, project: Path) -> None:
    standins.choose(project)
    assert docker.calls("pull") == [f"pull python:3.13.16-slim-trixie{DIGEST}"]


def test_stand_ins_are_chosen_when_no_registry_answers_and_the_line_says_why(
    docker: Fake, project: Path
) -> None:
    choice = standins.choose(project)
    assert choice.standins
    assert choice.line.endswith("because no image registry answers (no such host).")


def test_a_registry_that_hangs_is_given_up(
    docker: Fake, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standins, "PULL_SECONDS", 0.3)
    docker.pull_does("exec sleep 300")
    assert standins.choose(project).reason == "no image registry answers (no answer within 0.3 s)"


def test_a_slow_pull_that_has_begun_counts_as_an_answer(
    docker: Fake, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standins, "PULL_SECONDS", 3)
    docker.pull_does('echo "3.13.16: Pulling from library/python"; exec sleep 300')
    assert not standins.choose(project).standins


def test_images_that_are_all_here_need_no_registry(docker: Fake, project: Path) -> None:
    docker.has(f"mariadb:11.8.9{DIGEST}", f"python:3.13.16-slim-trixie{DIGEST}")
    assert standins.choose(project).reason == "the engine has all of them"
    assert docker.calls("pull") == []


@pytest.mark.parametrize(("wish", "expected"), [("always", True), ("never", False)])
def test_a_wish_decides_without_asking(
    docker: Fake, project: Path, monkeypatch: pytest.MonkeyPatch, wish: str, expected: bool
) -> None:
    monkeypatch.setenv("STANDINS", wish)
    assert standins.choose(project).standins is expected
    assert docker.calls("pull") == []


def test_an_unknown_wish_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDINS", "maybe")
    with pytest.raises(StandinError, match="auto, always, never"):
        standins.choose(project)


def test_the_choice_is_told_in_one_line_or_as_json(
    docker: Fake, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert standins.main(["choose", str(project)]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert standins.main(["choose", str(project), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["standins"] is True


def test_the_override_command_prints_the_files_path(
    docker: Fake, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert standins.main(["override", str(project)]) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()


def test_an_unknown_image_is_told_on_standard_error(
    docker: Fake, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "docker-compose.yml").write_text("services:\n  a:\n    image: redis:7\n")
    assert standins.main(["override", str(project)]) == 1
    assert "no stand-in honours redis:7" in capsys.readouterr().err


def test_the_build_command_makes_sure_of_an_engine_first(
    docker: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_engine(say: engine.Say, *, with_debootstrap: bool) -> engine.Status:
        raise engine.EngineError("Missing: the docker command.")

    monkeypatch.setattr(engine, "ensure", no_engine)
    assert standins.main(["build"]) == 1
    assert capsys.readouterr().err == "Missing: the docker command.\n"


def test_without_a_terminal_progress_is_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standins, "time", SimpleNamespace(monotonic=lambda: 1.0))
    with standins.shown_progress() as progress:
        for state in ("there", "building", "built"):
            progress("nginx", state)
    assert capsys.readouterr().err.splitlines() == ["nginx      building", "nginx      built in 0 s"]
