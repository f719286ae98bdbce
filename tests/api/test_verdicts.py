"""Every row of the verdict table, spoken by a real server."""

import pytest
from calls import post
from smtp_server import DRIP, HANG, HANG_UP, SmtpServer

from mailserver_api.verdicts import Reply, Stage, Verdict, classify

ROWS = [
    ("rcpt", "550 5.1.1 <b@here.example>: Recipient address rejected: User unknown", 404),
    ("rcpt", "550 5.1.2 <b@here.example>: Recipient address rejected: Domain not found", 404),
    ("rcpt", "554 5.7.1 <b@here.example>: Relay access denied", 404),
    ("rcpt", "550 no such user", 404),
    ("rcpt", "552 5.2.2 Mailbox is full", 507),
    ("rcpt", "554 5.7.1 <a@sender.example>: Sender address rejected: Access denied", 422),
    ("rcpt", "554 5.7.1 <api[172.16.0.2]>: Client host rejected: Access denied", 503),
    ("rcpt", "504 5.5.2 <mailserver-api>: Helo command rejected: need fully-qualified hostname", 503),
    ("rcpt", "454 4.7.1 Relay access denied", 503),
    ("rcpt", "451 4.3.0 Temporary lookup failure", 503),
    ("rcpt", "450 4.2.0 Greylisted", 503),
    ("mail", "552 5.3.4 Message size exceeds fixed limit", 413),
    ("mail", "452 4.3.1 Insufficient system storage", 503),
    ("mail", "550 5.7.1 go away", 503),
    ("mail", "501 5.1.7 Bad sender address syntax", 422),
    ("rcpt", "552 5.2.3 Message is larger than the mailbox", 413),
    ("mail", "530 5.7.0 Must issue a STARTTLS command first", 503),
    ("message", "552 5.3.4 Error: message file too big", 413),
    ("message", "552 5.2.2 Quota exceeded", 507),
    ("message", "554 5.7.1 Virus found", 422),
    ("message", "550 5.7.1 Spam", 422),
    ("message", "554 Transaction failed", 422),
    ("message", "554 5.5.1 Error: no valid recipients", 503),
    ("message", "550 5.3.5 system incorrectly configured", 503),
    ("message", "451 4.7.1 Service unavailable - try again later", 503),
    ("message", "nonsense", 503),
    ("connect", "554 5.7.1 no service", 503),
    ("connect", "421 4.3.2 too busy", 503),
    ("ehlo", "502 5.5.2 unknown", 503),
    ("connect", HANG_UP, 503),
    ("ehlo", HANG_UP, 503),
    ("mail", HANG_UP, 503),
    ("rcpt", HANG_UP, 503),
    ("message", HANG_UP, 503),
]


@pytest.mark.parametrize(("step", "answer", "status"), ROWS, ids=lambda value: str(value)[:30])
async def test_an_answer_of_postfix_becomes_its_row_of_the_table(api, smtp: SmtpServer, step, answer, status):
    smtp.answers[step] = answer
    response = await post(api)
    body = response.json()
    assert (response.status_code, body["status"]) == (status, status)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-mail-verdict"] == body["verdict"]
    assert ("retry-after" in response.headers) == (status == 503)
    assert body["smtp"]["stage"] == step
    assert not smtp.delivered


async def test_an_accepted_message_is_answered_with_its_queue_id(api, smtp: SmtpServer):
    response = await post(api)
    assert response.status_code == 200
    assert response.json() == {"verdict": "accepted", "queue_id": "4XyZ0001", "duplicate": False}
    assert smtp.commands[1:3] == [
        "MAIL FROM:<a@sender.example> SIZE=155",
        "RCPT TO:<b@here.example> NOTIFY=NEVER",
    ]


async def test_an_acceptance_without_a_queue_id_is_still_an_acceptance(api, smtp: SmtpServer):
    smtp.answers["message"] = "250 fine"
    response = await post(api)
    assert (response.status_code, response.json()["queue_id"]) == (200, None)


@pytest.mark.parametrize("step", ["connect", "mail", "rcpt", "message"])
@pytest.mark.parametrize("how", [HANG, DRIP])
async def test_a_server_that_never_finishes_an_answer_is_cut_off_in_time(start, smtp: SmtpServer, step, how):
    smtp.answers[step] = how
    client = await start(submit_seconds=0.4, connect_timeout=0.3)
    response = await post(client)
    assert response.status_code == 503
    assert response.elapsed.total_seconds() < 15


async def test_a_refused_connection_is_temporary(start):
    client = await start(smtp_port=1)
    response = await post(client)
    assert (response.status_code, response.json()["smtp"]["stage"]) == (503, "connect")


async def test_a_refusal_in_the_middle_of_the_content_is_never_an_acceptance(api, smtp: SmtpServer):
    smtp.answers["message"] = "hang up early"
    response = await post(api, b"x: y\r\n\r\n" + b"z" * 5_000_000)
    assert response.status_code in (413, 503)  # 413 if the answer outran the reset of the connection


REASONS = [
    ('554 5.7.1 virus found: "Win.Test.EICAR_HDB-1"', 'virus found: "Win.Test.EICAR_HDB-1"'),
    (
        "554 5.7.1 it looks like spam: 17.2 points, 15.0 are too many",
        "it looks like spam: 17.2 points, 15.0 are too many",
    ),
    (
        "554 5.7.1 The header Subject is longer than 59000 bytes",
        "The header Subject is longer than 59000 bytes",
    ),
    ("554 Transaction failed", "Transaction failed"),
    (f"554 5.7.1 {'x' * 300}", "x" * 200),
    ("554 5.7.1", None),
    ("554 5.7.1 refused by clamav:3310", None),
    ("554 5.7.1 refused by scanner[172.16.0.2]", None),
    ("554 5.7.1 refused by 172.16.0.2", None),
    ("554 5.7.1 refused by mailserver-api.internal", None),
    ("554 5.7.1 [fd00::2] refused", None),
]


@pytest.mark.parametrize(("answer", "reason"), REASONS, ids=lambda value: str(value)[:30])
async def test_a_refusal_says_why_and_names_no_machine(api, smtp: SmtpServer, answer, reason):
    smtp.answers["message"] = answer
    response = await post(api)
    assert response.status_code == 422
    assert response.headers.get("x-mail-reason") == reason
    assert response.json().get("reason") == reason


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("rcpt", "554 5.7.1 <a@sender.example>: Sender address rejected: Access denied"),
        ("rcpt", "550 5.1.1 <b@here.example>: Recipient address rejected: User unknown"),
        ("message", "552 5.2.2 Quota exceeded"),
        ("message", "451 4.7.1 Try again later"),
    ],
)
async def test_only_a_refusal_of_the_content_has_a_reason(api, smtp: SmtpServer, step, answer):
    smtp.answers[step] = answer
    response = await post(api)
    assert "x-mail-reason" not in response.headers and "reason" not in response.json()


@pytest.mark.parametrize("code", range(500, 560))
@pytest.mark.parametrize("stage", [Stage.CONNECT, Stage.EHLO, Stage.STARTTLS])
def test_no_refusal_before_the_recipient_or_content_bounces_mail(stage, code):
    assert classify(Reply(stage, code, "5.7.1 no")) is Verdict.TEMPORARY


@pytest.mark.parametrize("stage", Stage)
def test_a_reply_whose_codes_disagree_is_temporary(stage):
    assert classify(Reply(stage, 554, "4.7.1 later")) is Verdict.TEMPORARY
