"""What the edge is told of this host, and what it tells of its spool."""

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from calls import TOKEN, post, running

from mailserver_api.settings import Settings

NOBODY = {"Authorization": ""}
OUTSIDE = {"CF-Ray": "8f2a-NRT"}
REFUSED = {
    "key": "0b9f",
    "at": 1_795_000_100,
    "from": "a@sender.example",
    "to": "b@here.example",
    "verdict": "refused",
    "text": "postfix: 554 5.7.1 virus",
    "authenticated": True,
}
REPORT = {"waiting": 2, "bytes": 4096, "oldest": 1_795_000_000, "refused": [REFUSED]}


def incident(severity: str) -> dict[str, object]:
    return {"id": "queue-age", "since": 1, "severity": severity, "title": "t", "text": "x", "fix": "f"}


@pytest.fixture
def monitor(settings: Settings):
    """Write the monitor's state file: its age in seconds, and its incidents."""

    def write(age: float = 0, *severities: str) -> dict[str, object]:
        found = [incident(severity) for severity in severities]
        document = {"version": 1, "at": int(time.time() - age), "host": "mx", "incidents": found}
        settings.monitor_file.write_text(json.dumps(document))
        return document

    return write


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, monitor_file=tmp_path / "monitor.json")


async def test_the_monitors_state_is_given_as_it_is(api, monitor):
    document = monitor(0, "critical")
    assert (await api.get("/v1/monitor", headers=OUTSIDE)).json() == document


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"at": 1}'])
async def test_without_a_monitor_there_is_no_time_and_no_incident(api, settings: Settings, content):
    if content is not None:
        settings.monitor_file.write_text(content)
    assert (await api.get("/v1/monitor")).json() == {"at": None, "incidents": []}


@pytest.mark.parametrize(
    ("age", "severities", "status"),
    [
        (0, [], 200),
        (0, ["warning"], 200),
        (590, [], 200),
        (610, [], 503),
        (0, ["warning", "critical"], 503),
    ],
)
async def test_anybody_may_ask_whether_this_host_is_alive_and_learns_no_more(
    api, monitor, age, severities, status
):
    monitor(age, *severities)
    response = await api.get("/alive", headers=NOBODY | OUTSIDE)
    assert (response.status_code, list(response.json())) == (status, ["status"])


async def test_a_host_whose_monitor_never_ran_is_not_alive(api):
    assert (await api.get("/alive")).status_code == 503


async def test_before_the_first_report_the_spool_is_empty_as_far_as_anybody_knows(api):
    empty = {"at": None, "waiting": 0, "bytes": 0, "oldest": None, "refused": []}
    assert (await api.get("/v1/spool")).json() == empty


async def test_a_report_on_the_spool_is_given_back_with_its_time_also_after_a_restart(settings: Settings):
    async with running(settings) as client:
        assert (await client.post("/v1/spool", json=REPORT, headers=OUTSIDE)).status_code == 200
    async with running(settings) as client:
        known = (await client.get("/v1/spool")).json()
    assert abs(known.pop("at") - time.time()) < 60
    assert known == REPORT


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (json.dumps(REPORT | {"waiting": -1}).encode(), "waiting"),
        (json.dumps(REPORT | {"refused": [REFUSED | {"text": 1}]}).encode(), "refused.0.text"),
    ],
)
async def test_a_report_that_is_none_is_refused_with_the_field_and_the_last_one_stays(api, body, field):
    await api.post("/v1/spool", json=REPORT)
    response = await api.post("/v1/spool", content=body)
    assert (response.status_code, response.json()["field"]) == (400, field)
    assert (await api.get("/v1/spool")).json()["waiting"] == 2


async def test_a_report_without_end_is_not_kept_in_memory(api):
    assert (await api.post("/v1/spool", content=b" " * 300_000)).status_code == 413


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/monitor"), ("GET", "/v1/spool"), ("POST", "/v1/spool")]
)
async def test_both_are_closed_without_a_token(api, method, path):
    response = await api.request(method, path, headers=NOBODY)
    assert (response.status_code, response.headers["connection"]) == (401, "close")


@pytest.mark.parametrize(("days", "is_known"), [(15, True), (22, False)])
async def test_an_outcome_is_known_for_longer_than_the_spool_keeps_a_mail(
    settings: Settings, days: int, is_known: bool
):
    """The spool may have posted a mail, not heard the answer, and be without this host for its 14 days."""
    async with running(settings) as client:
        assert (await post(client)).status_code == 200
    with closing(sqlite3.connect(settings.state_dir / "outcomes.db")) as ledger, ledger:
        ledger.execute("UPDATE outcomes SET at = at - ?", (days * 24 * 3600,))
    async with running(settings) as client:
        assert (await post(client)).json()["duplicate"] is is_known


async def test_the_log_says_that_a_mail_was_in_the_spool(api, caplog):
    with caplog.at_level("INFO"):
        await post(api, **{"X-Spool-Key": "0b9f", "X-Spool-Received": "2026-11-28T09:00:00Z"})
    (line,) = [record.fields for record in caplog.records if record.getMessage() == "message"]
    assert line["spooled"] == "2026-11-28T09:00:00Z 0b9f"
    assert TOKEN not in caplog.text
