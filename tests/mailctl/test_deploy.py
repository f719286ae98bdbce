"""`mailctl deploy`: wherever it is killed, the next call ends in the new state or the old one, wholly."""

import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_runtime import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from walk import judge

from mailctl.core import encryption
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.output import Output
from mailctl.deploy import preflight, records, work
from mailctl.secret_files import sealed

EXAMPLES = int(os.environ.get("DEPLOY_KILLS", "10"))
OLD = {"mariadb": "one", "postfix": "one", "usermgmt": "one"}
# What a commit changes, and whether it shall stay. Before the slash: the image; after it: the configuration.
CHANGES = {
    "a configuration": ({**OLD, "postfix": "one/two"}, True),
    "every image": ({"mariadb": "two", "postfix": "two", "usermgmt": "two"}, True),
    "a service that goes": ({"mariadb": "one", "postfix": "one/two"}, True),
    "a broken service": ({"mariadb": "two", "postfix": "two/broken", "usermgmt": "two"}, False),
    "a lost canary": ({**OLD, "usermgmt": "two/lost"}, False),
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host on which the first commit runs well."""
    monkeypatch.setattr(preflight, "refuse", lambda *_: None)
    return started(tmp_path)


def started(root: Path) -> World:
    world = World(root / "world")
    world.commit(**OLD)
    assert work.deploy(world.host(), world.git("rev-parse", "HEAD"))["result"] == records.DEPLOYED
    return world


def deploy(world: World, ref: str) -> dict[str, Any]:
    document = work.deploy(world.host(), world.git("rev-parse", ref))
    judge(("deploy",), json.dumps(document))
    return document


def killed(world: World, step: int, act: Callable[[Any], Any]) -> bool:
    """Do something in a process of its own that dies at that step; whether it died."""
    pid = os.fork()
    if not pid:
        try:
            act(world.host(step))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 137


def is_whole(world: World, commit: str) -> None:
    """Containers, live tree and names of images are those of one commit, and nothing is left undone."""
    assert world.runs() == world.described(commit)
    assert world.git("rev-parse", "HEAD") == commit and world.git("status", "--porcelain") == ""
    assert not (world.ssd / ".mailctl/deploy/journal.json").exists()
    host = world.host()
    assert work.deploy(host, commit)["result"] == records.UNCHANGED
    for name, found in host.runtime.running().items():
        assert host.runtime.image(f"shop-mail-{name}") == found.image_id


@pytest.mark.parametrize("change", CHANGES)
def test_a_commit_runs_wholly_or_what_ran_before_runs_again(world: World, change: str) -> None:
    old, (services, stays) = world.commits[0], CHANGES[change]
    new = world.commit(**services)
    document = deploy(world, new)
    assert (document["result"], document["ok"]) == ("deployed" if stays else "rolled-back", stays)
    is_whole(world, new if stays else old)
    if not stays:
        culprit = "postfix" if change == "a broken service" else "usermgmt"
        assert document["culprit"] == culprit and document["log"].startswith("its last words")


# Killed at any step, and the next call as well, and the one after: then one call is let through.
@pytest.mark.series
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(change=st.sampled_from(sorted(CHANGES)), steps=st.lists(st.integers(1, 45), min_size=1, max_size=3))
def test_killed_at_any_step_it_ends_in_the_old_or_the_new_state(change: str, steps: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight, "refuse", lambda *_: None)
        patch.setattr(os, "fsync", lambda _fd: None)
        world = started(Path(folder))
        old, new = world.commits[0], world.commit(**CHANGES[change][0])
        world.git("checkout", "-q", old)
        for step in steps:
            killed(world, step, lambda host: work.deploy(host, new))
        deploy(world, world.git("rev-parse", "HEAD"))
        is_whole(world, world.git("rev-parse", "HEAD"))
        assert world.git("rev-parse", "HEAD") in ((old, new) if CHANGES[change][1] else (old,))


def test_only_what_changed_is_recreated_and_its_time_away_is_measured(world: World) -> None:
    document = deploy(world, world.commit(**{**OLD, "postfix": "one/two"}))
    assert document["recreated"] == ["postfix"] and document["away"] == {"postfix": 1.5}
    assert world.host().records.usual()["postfix"] == 1.5


def test_what_mailctl_keeps_is_closed_to_others_from_its_first_folder_on(world: World) -> None:
    deploy(world, world.commit(**{**OLD, "postfix": "one/two"}))
    folder = world.host().records.folder
    assert {each.stat().st_mode & 0o777 for each in (folder.parent, folder)} == {0o700}


def test_who_remembers_an_address_is_started_again_after_it_changed(world: World) -> None:
    document = deploy(world, world.commit(**{**OLD, "mariadb": "one/two"}))
    assert document["recreated"] == ["mariadb", "usermgmt"]


def test_what_the_new_checker_refuses_touches_nothing(world: World) -> None:
    before = world.load()["containers"]
    old, new = world.commits[0], world.commit(**{**OLD, "postfix": "one/refused"})
    world.git("checkout", "-q", old)
    document = deploy(world, new)
    assert document["result"] == "refused" and "bad line" in document["problems"][0]["wrong"]
    assert world.load()["containers"] == before
    is_whole(world, old)
    assert world.host().records.history()[0]["result"] == "refused"


def test_a_file_edited_on_the_host_is_refused_and_named(world: World) -> None:
    (world.repo / "config/postfix/main.cf").write_text("by hand")
    with pytest.raises(Refused, match=r"config/postfix/main\.cf"):
        deploy(world, "HEAD")


def test_a_rollback_runs_the_images_of_before_although_a_build_took_their_names(world: World) -> None:
    old, new = world.commits[0], world.commit(mariadb="two", postfix="two", usermgmt="two")
    deploy(world, new)
    document = work.rollback(world.host(), "")
    assert (document["result"], document["ok"], document["bad"]) == ("rolled-back", True, new)
    judge(("rollback",), json.dumps(document))
    is_whole(world, old)


def test_a_rollback_builds_again_what_a_prune_took_away(world: World) -> None:
    old, new = world.commits[0], world.commit(mariadb="two", postfix="two", usermgmt="two")
    deploy(world, new)
    state = world.load()
    now = {found["image"] for found in state["containers"].values()}
    world.store({**state, "images": {n: i for n, i in state["images"].items() if i in now}})
    assert work.rollback(world.host(), old)["ok"]
    is_whole(world, old)


def test_there_is_no_way_back_to_what_never_ran_well(world: World) -> None:
    with pytest.raises(Refused, match="no earlier deployment"):
        work.rollback(world.host(), "")
    deploy(world, bad := world.commit(**{**OLD, "postfix": "two/broken"}))
    with pytest.raises(Refused, match="never ran well"):
        work.rollback(world.host(), bad)


def test_what_a_crashed_mailctl_has_begun_is_undone_and_its_commit_is_bad(world: World) -> None:
    old, new = world.commits[0], world.commit(**{**OLD, "postfix": "two", "usermgmt": "two"})
    world.git("checkout", "-q", old)
    step = 0
    while not _switching(world):
        step += 3
        killed(world, step, lambda host: work.deploy(host, new))
    document = work.undo(world.host(), new, "its mailctl crashed")
    judge(("deploy",), json.dumps(document))
    assert (document["result"], document["bad"]) == ("rolled-back", new)
    assert "its mailctl crashed" in document["reason"]
    is_whole(world, old)


def _switching(world: World) -> bool:
    journal = world.host().records.journal()
    return bool(journal and journal.phase == records.SWITCHING and journal.touched)


def test_to_undo_what_touched_nothing_is_to_write_down_why_it_is_refused(world: World) -> None:
    old, new = world.commits[0], world.commit(**{**OLD, "postfix": "two"})
    world.git("checkout", "-q", old)
    killed(world, 2, lambda host: work.deploy(host, new))
    document = work.undo(world.host(), new, "its checks are red")
    judge(("deploy",), json.dumps(document))
    assert (document["result"], document["reason"]) == ("refused", "its checks are red")
    assert world.host().records.history()[0]["ref"] == new
    is_whole(world, old)


def test_many_refusals_leave_what_one_can_go_back_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "HISTORY", 3)
    store = world.host().records
    for number in range(5):
        store.add(f"9{number}", work.result(records.REFUSED, "bad", None))
    assert [point.ref for point in store.points()] == world.commits[:1]
    assert len(store.history()) == 4


@pytest.mark.parametrize("change", ["a configuration", "a broken service"])
def test_mail_that_waited_is_delivered_at_once(world: World, change: str) -> None:
    before = len(world.load()["asked"])
    deploy(world, world.commit(**CHANGES[change][0]))
    assert world.load()["asked"][before:][-1] == ["postfix", "postqueue", "-f"]


def test_a_secret_that_is_new_with_a_commit_is_made_before_it_is_missed(world: World) -> None:
    secrets = world.repo / "secrets"
    before = (secrets / "postfix_db_password").read_bytes()
    (secrets / "doveadm_api_key").unlink()
    deploy(world, world.commit(**{**OLD, "postfix": "two"}))
    assert (secrets / "doveadm_api_key").read_bytes()
    assert (secrets / "postfix_db_password").read_bytes() == before


@pytest.fixture
def sealing(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sealed_key(world, monkeypatch)


def sealed_key(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The relay's key of that host, which git has sealed as well, in the commit that runs."""
    (world.repo / ".git/info/exclude").write_text("secrets/\n")
    (world.repo / "secrets").mkdir(mode=0o700, exist_ok=True)
    (world.repo / "secrets/backup_age_identity").write_bytes(encryption.new_identity())
    key = world.repo / "secrets/relay_password"
    key.write_text("the first key")
    (world.repo / sealed.FOLDER).mkdir()
    (world.repo / sealed.FOLDER / sealed.RECIPIENTS).touch()
    monkeypatch.setenv(encryption.SETTING, encryption.new_identity().split()[3].decode())
    sealed.seal(Context(world.repo, Output()))
    deploy(world, world.commit(**OLD))
    return key


def with_key(world: World, key: str, **services: str) -> str:
    """A commit with another key, sealed on somebody's computer."""
    recipients = (world.repo / sealed.FOLDER / sealed.RECIPIENTS).read_text().split()
    with (world.repo / sealed.FOLDER / "relay_password.age").open("wb") as target:
        encryption.encrypt(io.BytesIO(key.encode()), target, recipients)
    return world.commit(**services)


def test_a_secret_that_a_commit_carries_is_there_before_a_container_is_touched(
    world: World, sealing: Path
) -> None:
    first = world.commits[-1]
    document = deploy(world, with_key(world, "the second key", **{**OLD, "postfix": "one/two"}))
    assert document["ok"] and sealing.read_text() == "the second key"
    assert work.rollback(world.host(), first)["ok"]
    assert sealing.read_text() == "the second key", "the relay knows the newest only"


@pytest.mark.parametrize("said", ["refused", "broken", "lost"])
def test_the_secret_of_a_commit_that_fails_is_taken_back_and_the_next_commit_brings_it_again(
    world: World, sealing: Path, said: str
) -> None:
    assert not deploy(world, with_key(world, "another", **{**OLD, "postfix": f"one/{said}"}))["ok"]
    assert sealing.read_text() == "the first key"
    world.git("checkout", "-q", "--force", world.commits[1])
    assert deploy(world, with_key(world, "another", **{**OLD, "postfix": "one/two"}))["ok"]
    assert sealing.read_text() == "another"


def test_a_secret_that_this_host_cannot_open_refuses_the_commit(world: World, sealing: Path) -> None:
    path = world.repo / sealed.FOLDER / "relay_password.age"
    path.write_bytes(path.read_bytes()[:-1])
    document = deploy(world, world.commit(**{**OLD, "postfix": "one/two"}))
    assert document["result"] == records.REFUSED
    assert document["problems"][0]["field"] == "secrets.age/relay_password.age"
    assert sealing.read_text() == "the first key"


@pytest.mark.series
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=st.sampled_from(["two", "broken"]), step=st.integers(1, 25))
def test_killed_at_any_step_the_secret_is_the_one_of_the_commit_that_runs(said: str, step: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight, "refuse", lambda *_: None)
        patch.setattr(os, "fsync", lambda _fd: None)
        world = started(Path(folder))
        key = sealed_key(world, patch)
        old = world.commits[-1]
        new = with_key(world, "another", **{**OLD, "postfix": f"one/{said}"})
        world.git("checkout", "-q", "--force", old)
        killed(world, step, lambda host: work.deploy(host, new))
        work.settle(world.host())
        runs = world.git("rev-parse", "HEAD")
        assert key.read_text() == {old: "the first key", new: "another"}[runs]


def test_a_second_deployment_is_told_who_works(world: World) -> None:
    with world.host().records.locked("mailctl deploy"):
        assert world.host().records.busy == "mailctl deploy"
        with pytest.raises(Refused, match="mailctl deploy"), world.host().records.locked("mailctl rollback"):
            pass
    assert world.host().records.busy == ""


def test_images_out_of_reach_are_forgotten_and_those_within_are_kept(world: World) -> None:
    for number in range(7):
        deploy(world, world.commit(**{**OLD, "postfix": f"v{number}"}))
    kept = world.host().runtime.kept("shop-mail-kept/postfix")
    assert len(kept) == records.KEPT
    reach = {point.images["postfix"] for point in world.host().records.points()[: records.KEPT]}
    assert {world.host().runtime.image(name) for name in kept} == reach


def test_a_dry_run_the_history_and_the_list_print_documents_of_their_schemas(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    new = world.commit(**{**OLD, "postfix": "two"})
    deploy(world, world.commit(**{**OLD, "postfix": "two/broken"}))
    host = world.host()
    for words, show in (
        ("deploy", lambda: work.show_plan(host, new)),
        ("history", lambda: work.show_history(host.context, host.records)),
        ("preflight", lambda: work.show_preflight(host)),
    ):
        show()
        judge((words,), capsys.readouterr().out)
