"""Health, readiness, metrics and logs."""

import asyncio
import json
import logging

import pytest
from calls import MAIL, TOKEN, post
from smtp_server import HANG, SmtpServer

from mailserver_api.logs import JsonFormatter
from mailserver_api.settings import Settings

NOBODY = {"Authorization": ""}


async def test_health_needs_nothing_but_the_process(api, smtp: SmtpServer, settings: Settings):
    smtp.answers["connect"] = "554 broken"
    settings.tokens_file.unlink()
    assert (await api.get("/health", headers=NOBODY)).status_code == 200


async def test_ready_says_yes_when_a_message_could_be_taken(api):
    response = await api.get("/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ready", "reasons": []})


@pytest.mark.parametrize("answer", ["554 broken", "421 busy", HANG])
async def test_ready_says_no_when_postfix_does_not_greet(start, smtp: SmtpServer, answer):
    client = await start(ready_timeout=0.3)
    smtp.answers["connect"] = answer
    response = await client.get("/ready")
    assert response.status_code == 503
    assert response.json()["reasons"][0].startswith("smtp 127.0.0.1:")


async def test_ready_says_no_without_tokens_and_heals(api, settings: Settings):
    settings.tokens_file.write_text("")
    response = await api.get("/ready")
    assert (response.status_code, response.json()) == (503, {"status": "not ready"})
    settings.tokens_file.write_text(TOKEN)
    assert (await api.get("/ready")).status_code == 200


@pytest.mark.parametrize(
    ("step", "answer", "status"),
    [
        ("mail", "451 4.7.1 Service unavailable", 503),
        ("rcpt", "451 4.3.0 Temporary lookup failure", 503),
        ("rcpt", "451 4.3.5 Quota service unavailable", 503),
        ("rcpt", "554 5.7.1 Client host rejected", 503),
        ("rcpt", "552 5.2.2 Mailbox is full", 200),
    ],
)
async def test_ready_asks_whether_postfix_takes_another_mail(api, smtp: SmtpServer, step, answer, status):
    await post(api)
    smtp.answers[step] = answer
    assert (await api.get("/ready")).status_code == status
    assert smtp.commands.count("RCPT TO:<b@here.example> NOTIFY=NEVER") == 2
    assert len(smtp.delivered) == 1


async def test_ready_names_no_recipient_to_postfix_that_it_may_not_know(api, smtp: SmtpServer):
    await api.get("/ready")
    await post(api)
    smtp.answers["rcpt"] = "550 5.1.1 unknown"
    for _ in range(3):
        assert (await api.get("/ready")).status_code == 200
    assert len([command for command in smtp.commands if command.startswith("RCPT")]) == 2


FILTER_ANSWERS = {
    "clean": (b'{"action":"no action","symbols":{}}', 200),
    "no scanner": (b'{"action":"soft reject","symbols":{"VIRUS_SCAN_MISSING":{}}}', 503),
    "no verdict": (b'{"error":"invalid"}', 503),
    "hangs up": (b"", 503),
}


@pytest.mark.parametrize(("answer", "status"), FILTER_ANSWERS.values(), ids=FILTER_ANSWERS)
async def test_ready_asks_the_filter_whether_its_scanner_is_there(start, answer, status):
    async def judge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Log: no" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + answer)
        writer.close()

    async with await asyncio.start_server(judge, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = await start(filter_host="127.0.0.1", filter_port=port)
        assert (await client.get("/ready")).status_code == status


async def test_ready_says_no_when_the_filter_is_down(start):
    client = await start(filter_host="127.0.0.1", filter_port=1)
    response = await client.get("/ready")
    assert response.status_code == 503
    assert response.json()["reasons"][0].startswith("filter 127.0.0.1:1: ")


async def test_ready_says_no_after_a_mail_that_the_filter_deferred_until_one_passes(api, smtp: SmtpServer):
    smtp.answers["message"] = "451 4.7.1 Virus scanner is down"
    await post(api)
    response = await api.get("/ready")
    assert (response.status_code, "scanner is down" in response.json()["reasons"][0]) == (503, True)
    smtp.answers.clear()
    await post(api)
    assert (await api.get("/ready")).status_code == 200


async def test_ready_says_no_when_the_spool_cannot_be_written(api, settings: Settings):
    settings.spool_dir.rmdir()
    response = await api.get("/ready")
    assert response.status_code == 503
    assert response.json()["reasons"][0].startswith("spool")


async def test_ready_gives_no_reasons_without_a_token(start):
    client = await start(smtp_port=1)
    response = await client.get("/ready", headers=NOBODY)
    assert (response.status_code, response.json()) == (503, {"status": "not ready"})


async def test_many_questions_for_readiness_are_one_question_for_postfix(start, smtp: SmtpServer):
    client = await start(ready_cache_seconds=60.0)
    for _ in range(5):
        await client.get("/ready", headers=NOBODY)
    assert smtp.connections == 1


async def test_metrics_are_closed_without_a_token(api):
    assert (await api.get("/metrics", headers=NOBODY)).status_code == 401


async def test_metrics_count_verdicts_bytes_duplicates_and_time(api, smtp: SmtpServer):
    await post(api)
    await post(api)
    smtp.answers["rcpt"] = "550 5.1.1 unknown"
    await post(api, to="nobody@here.example")
    await post(api, Authorization="Bearer wrong")
    text = (await api.get("/metrics")).text
    for line in (
        'mailserver_api_messages_total{verdict="accepted"} 2.0',
        'mailserver_api_messages_total{verdict="unknown-recipient"} 1.0',
        'mailserver_api_messages_total{verdict="unauthorized"} 1.0',
        f"mailserver_api_received_bytes_total {3.0 * len(MAIL)}",
        "mailserver_api_duplicates_total 1.0",
        "mailserver_api_submit_seconds_count 2.0",
        "mailserver_api_in_flight 0.0",
    ):
        assert line in text.splitlines()


async def test_a_message_is_one_json_line_with_its_verdict_but_no_content_or_token(api, caplog):
    with caplog.at_level(logging.INFO):
        await post(api, b"Message-ID: <7@x>\r\n" + MAIL + b"very private", **{"CF-Ray": "8f2a-NRT"})
        await post(api, to="evil @here.example".replace(" ", "\x0b"))
    lines = [JsonFormatter().format(record) for record in caplog.records if record.getMessage() == "message"]
    assert len(lines) == 2 and not any("\n" in line for line in lines)
    entry = json.loads(lines[0])
    assert (entry["event"], entry["verdict"], entry["queue_id"]) == ("message", "accepted", "4XyZ0001")
    assert (entry["from"], entry["to"], entry["size"]) == (
        "a@sender.example",
        "b@here.example",
        len(MAIL) + 31,
    )
    assert (entry["cf_ray"], entry["message_id"]) == ("8f2a-NRT", "<7@x>")
    assert json.loads(lines[1])["verdict"] == "malformed"
    assert not any(secret in caplog.text + "".join(lines) for secret in (TOKEN, "very private"))


async def test_an_unexpected_error_is_temporary_and_logged_with_its_trace(api, monkeypatch, caplog):
    monkeypatch.setattr("mailserver_api.spool.Spool.receive", lambda *_: 1 / 0)
    response = await post(api)
    assert (response.status_code, "retry-after" in response.headers) == (503, True)
    assert "ZeroDivisionError" in caplog.text
