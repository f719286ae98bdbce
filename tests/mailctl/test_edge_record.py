"""`mailctl edge plan --record`: Cloudflare's answers as files without secrets, which the fake must equal."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from edge_repo import EdgeRepo, document, set_up
from fake_cloudflare import FakeCloudflare
from fake_cloudflare.state import ACCOUNT, ZONE_ID

HERE = Path(__file__).parent / "recordings"
SAMPLES = sorted(HERE.glob("*.json"))
RULE = {"address": "sales@example.com", "forward": "admin@elsewhere.example"}


@pytest.fixture
def recorded(edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, tmp_path: Path) -> Path:
    """What the fake answers to a plan when everything is set up."""
    edge_repo.edge["email_routing"]["rules"] = [RULE]
    set_up(edge_repo, cloudflare, cli)
    cloudflare.state.add_record(
        type="TXT", name="example.com", content='"site-verification=somebody@example.org"'
    )
    assert cli("edge", "plan", "--record", str(tmp_path / "new")).exit_code == 0
    return tmp_path / "new"


def test_nothing_of_the_account_is_in_a_recording(
    recorded: Path, edge_repo: EdgeRepo, cloudflare: FakeCloudflare
) -> None:
    text = "".join(path.name + path.read_text() for path in recorded.iterdir())
    state = cloudflare.state
    ids = [ACCOUNT, ZONE_ID, *state.tunnels, *state.applications, *state.namespaces, *state.records]
    secrets = [
        cloudflare.token,
        edge_repo.secret("cloudflared_token"),
        edge_repo.secret("mailserver_api_tokens"),
    ]
    for private in (*ids, *secrets, "example", "shop-mail", "@", "site-verification"):
        assert private not in text, private


def test_an_id_has_the_same_stand_in_everywhere(recorded: Path) -> None:
    rows = [json.loads(path.read_text()) for path in sorted(recorded.iterdir())]
    zone = rows[0]["body"]["result"][0]["id"]
    paths = {row["path"].split("/")[2] for row in rows if row["path"].startswith("/zones/")}
    assert paths == {zone} and zone.startswith("id-")


def test_a_refusal_is_recorded_without_what_it_repeats(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, tmp_path: Path
) -> None:
    cloudflare.fail(0, "refused")  # its message holds the token
    assert cli("edge", "plan", "--record", str(tmp_path / "new")).exit_code == 1
    (path,) = (tmp_path / "new").iterdir()
    row = json.loads(path.read_text())
    message = "refused as asked, for Bearer (token)"
    assert (row["status"], row["body"]["errors"]) == (400, [{"code": 1004, "message": message}])


def test_a_folder_that_holds_something_is_refused(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (problem,) = document(cli, "plan", "--record", str(tmp_path))["problems"]
    assert problem["field"] == "--record" and cloudflare.calls == []


@pytest.mark.parametrize("sample", SAMPLES, ids=[path.stem for path in SAMPLES])
def test_the_fake_answers_with_the_fields_of_a_recording(recorded: Path, sample: Path) -> None:
    want = json.loads(sample.read_text())
    rows = [json.loads(path.read_text()) for path in recorded.iterdir()]
    (got,) = [row for row in rows if _call(row) == _call(want)]
    assert got["status"] == want["status"]
    assert _fields(got["body"]) == _fields(want["body"])


def _call(row: dict[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    return row["method"], re.sub(r"\b(?:id|name)-\d+", "*", row["path"]), tuple(row["query"])


def _fields(body: Any, place: str = "") -> set[str]:
    """The place of every field, with all entries of a list in one."""
    if isinstance(body, dict):
        inner = [(f"{place}.{key}", value) for key, value in body.items()]
        return {key for key, _ in inner} | {name for key, value in inner for name in _fields(value, key)}
    return (
        {name for value in body for name in _fields(value, f"{place}[]")} if isinstance(body, list) else set()
    )
