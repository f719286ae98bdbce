"""The access key is rotated in two applies, and at no moment is there no valid key."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest
from equipment.cloud import Cloud
from equipment.workspace import Workspace
from moto.iam.models import IAMBackend

USER = "mailserver-production-uploader"
ONE = '-var=access_keys={first="Active"}'
BOTH = '-var=access_keys={first="Active",second="Active"}'
OTHER = '-var=access_keys={second="Active"}'


@dataclass
class Watch:
    """The ids of the valid keys after every single change to a key."""

    moments: list[set[str]] = field(default_factory=list)


@pytest.fixture(autouse=True)
def one_key(applied: Workspace) -> None:
    """Every test starts with one key, whatever the one before left."""
    applied.plan_and_apply(ONE)


@pytest.fixture
def watch(cloud: Cloud) -> Iterator[Watch]:
    """Notes which keys are valid after each call that makes, changes or deletes one."""
    seen = Watch()

    def watching(original: Any) -> Any:
        def call(backend: Any, *arguments: Any, **options: Any) -> Any:
            result = original(backend, *arguments, **options)
            keys = backend.get_user(USER).access_keys
            seen.moments.append({key.access_key_id for key in keys if key.status == "Active"})
            return result

        return call

    names = ("create_access_key", "update_access_key", "delete_access_key")
    patches = [mock.patch.object(IAMBackend, name, watching(getattr(IAMBackend, name))) for name in names]
    for patch in patches:
        patch.start()
    yield seen
    for patch in patches:
        patch.stop()


def test_rotation_in_two_applies_never_leaves_the_host_without_a_valid_key(
    applied: Workspace, watch: Watch
) -> None:
    old = applied.outputs()["access_key_id"]

    applied.plan(BOTH, "-var=current_access_key=second")
    assert applied.planned_changes() == {'aws_iam_access_key.uploader["second"]': ["create"]}
    applied.apply()
    new = applied.outputs()["access_key_id"]
    assert new != old
    assert watch.moments and all(old in moment for moment in watch.moments)

    during_second = len(watch.moments)
    applied.plan(OTHER)
    assert applied.planned_changes() == {'aws_iam_access_key.uploader["first"]': ["delete"]}
    applied.apply()
    assert applied.outputs()["access_key_id"] == new
    assert all(new in moment for moment in watch.moments[during_second:])
    assert watch.moments[-1] == {new}


def test_the_old_key_can_be_put_to_rest_before_it_is_deleted(applied: Workspace, cloud: Cloud) -> None:
    applied.plan_and_apply(BOTH, "-var=current_access_key=second")
    resting = '-var=access_keys={first="Inactive",second="Active"}'
    applied.plan(resting)
    assert applied.planned_changes() == {'aws_iam_access_key.uploader["first"]': ["update"]}
    applied.apply()
    keys = cloud.client("iam").list_access_keys(UserName=USER)["AccessKeyMetadata"]
    assert sorted(key["Status"] for key in keys) == ["Active", "Inactive"]


def test_the_secret_belongs_to_the_key_that_the_host_is_to_use(applied: Workspace) -> None:
    applied.plan_and_apply(BOTH, "-var=current_access_key=first")
    first = applied.outputs()
    applied.plan_and_apply(BOTH, "-var=current_access_key=second")
    second = applied.outputs()
    assert first["access_key_ids"] == second["access_key_ids"]
    assert first["access_key_id"] == first["access_key_ids"]["first"]
    assert second["access_key_id"] == second["access_key_ids"]["second"]
    assert first["secret_access_key"] != second["secret_access_key"]
