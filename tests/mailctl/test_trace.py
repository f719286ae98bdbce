"""`mailctl trace`: a mail's way out of the logs of four services, whatever else is in them."""

import json
import random
from datetime import datetime

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from hypothesis import given, settings
from hypothesis import strategies as st
from mail_logs import STORIES, Mail, Said, inbound, lines, outgoing, slow, spam, taken

from mailctl.core import mail_log
from mailctl.core.log_lines import LogLine, stamped
from mailctl.trace.ways import Way, Ways

IDS = st.text("0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjkmnpqrstvwxyz", min_size=12, max_size=15)
NAMES = st.text(st.characters(codec="ascii", exclude_characters="<>", categories=("L", "N", "P")), min_size=1)
SERVICE = st.sampled_from(mail_log.SERVICES)
ONE = Mail("4jb64t38NBzJmhw", "c226df53@sender.example")


def ways(said: list[Said]) -> Ways:
    return Ways(map(mail_log.steps, lines(said)))


def way(said: list[Said], name: str = ONE.id) -> Way:
    _, [found] = ways(said).find(name)
    return found


def decided(found: Way) -> list[tuple[str, str]]:
    return [(step.service, step.decided) for step in found.steps if step.decided != mail_log.LINK]


@settings(deadline=None)
@given(SERVICE, st.text())
def test_a_line_of_any_form_never_raises(service: str, text: str) -> None:
    mail_log.steps(LogLine(datetime.now().astimezone(), service, text))


@settings(deadline=None)
@given(st.data())
def test_a_damaged_line_never_raises(data: st.DataObject) -> None:
    said = [each for story in STORIES.values() for each in story(ONE)]
    service, text = data.draw(st.sampled_from(said))
    begin, end = (data.draw(st.integers(0, len(text))) for _ in range(2))
    damaged = text[:begin] + data.draw(st.text()) + text[end:]
    mail_log.steps(LogLine(datetime.now().astimezone(), service, damaged))


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


@settings(deadline=None)
@given(st.data())
def test_a_line_of_the_api_with_any_value_never_raises(data: st.DataObject) -> None:
    whole = json.loads(ONE.api()[1])
    whole[data.draw(st.sampled_from(sorted(whole)))] = data.draw(_JSON)
    mail_log.steps(LogLine(datetime.now().astimezone(), "mailserver-api", json.dumps(whole)))


@settings(deadline=None)
@given(st.lists(st.binary()))
def test_a_log_of_any_bytes_never_raises(said: list[bytes]) -> None:
    for line in stamped(said, "postfix"):
        assert line.bare is not None


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(IDS, NAMES, st.sampled_from(sorted(STORIES))), unique_by=(lambda m: m[0], lambda m: m[1])
    ),
    st.randoms(use_true_random=False),
)
def test_the_way_is_found_whole_whatever_the_interleaving(
    mails: list[tuple[str, str, str]], chance: random.Random
) -> None:
    """The lines of each mail keep their order, as they do in the logs."""
    stories = [STORIES[kind](Mail(id, message_id)) for id, message_id, kind in mails]
    turns = [number for number, story in enumerate(stories) for _ in story]
    chance.shuffle(turns)
    left = [iter(story) for story in stories]
    all_lines = lines([next(left[number]) for number in turns])
    found = Ways(map(mail_log.steps, all_lines))
    for number, (id, message_id, _) in enumerate(mails):
        own = {line.at for line, turn in zip(all_lines, turns, strict=True) if turn == number}
        for name in (id, message_id, f"<{message_id}>"):
            _, [one] = found.find(name)
            assert {step.at for step in one.steps} == own
    assert len(found.every()) == len(mails)


@pytest.mark.parametrize(
    ("story", "result", "steps"),
    [
        (
            inbound,
            "delivered",
            [
                ("postfix", "received"),
                ("rspamd", "checked"),
                ("postfix", "queued"),
                ("mailserver-api", "received"),
                ("mailserver-api", "accepted"),
                ("dovecot", "delivered"),
                ("postfix", "delivered"),
            ],
        ),
        (
            spam,
            "refused",
            [
                ("postfix", "received"),
                ("rspamd", "refused"),
                ("postfix", "refused"),
                ("mailserver-api", "received"),
                ("mailserver-api", "refused"),
            ],
        ),
        (
            outgoing,
            "sent",
            [("postfix", "received"), ("rspamd", "checked"), ("postfix", "queued"), ("postfix", "sent")],
        ),
    ],
)
def test_each_step_says_what_was_decided(story, result: str, steps: list[tuple[str, str]]) -> None:
    found = way(story(ONE))
    assert decided(found) == steps and found.result == result
    assert (found.sender, found.recipients) == (ONE.sender, (ONE.to,))


def test_the_symbols_of_a_verdict_come_with_it_the_heaviest_first() -> None:
    [verdict] = [step for step in way(inbound(ONE)).steps if step.service == "rspamd"]
    assert verdict.symbols == (("AUTH_NA", 2.5), ("HFILTER_HELO_IP_A", 1.0), ("ARC_NA", 0.0))
    assert verdict.text == "no action, score 3.50 of 15.00: AUTH_NA 2.5, HFILTER_HELO_IP_A 1"


def test_a_try_that_postfix_never_saw_is_part_of_the_way() -> None:
    found = way(slow(ONE))
    assert decided(found)[:2] == [("mailserver-api", "received"), ("mailserver-api", "deferred")]
    assert ("postfix", "deferred") in decided(found) and found.result == "delivered"


def test_two_mails_with_one_message_id_are_two_ways() -> None:
    other = Mail("4jb64x3KlfzJmjF", ONE.message_id, to="second@example.com")
    kind, found = ways([*inbound(ONE), *inbound(other)]).find(ONE.message_id)
    assert kind == "Message-ID" and [each.recipients for each in found] == [(ONE.to,), (other.to,)]
    assert [len(each.steps) for each in found] == [len(way(inbound(ONE)).steps)] * 2


def test_an_answer_of_the_edge_without_a_queue_id_belongs_to_the_try_that_it_answers() -> None:
    """Postfix gave both tries an id, and the first recipient's mail an id as well."""
    first, again = Mail("4jb64t38NBzJmhw", "a@b"), Mail("4jb64x3KlfzJmjF", "a@b")
    other = Mail("4jb65216wHzJmhF", "a@b", to="second@example.com")
    found = ways([*inbound(other), *spam(first), *spam(again)])
    for one in (first, again, other):
        _, [its] = found.find(one.id)
        assert [step.service for step in its.steps].count("mailserver-api") == 2, "the call and its answer"
    found = ways([*spam(first)[:4], *inbound(other), first.api("refused", 422, queued=False)])
    assert ("mailserver-api", "refused") in decided(found.find(first.id)[1][0])


def test_an_address_names_what_came_and_what_went_of_it_alone() -> None:
    foreign = Mail("4jb64x3KlfzJmjF", "x@y", to="second@example.com", sender="else@sender.example")
    kind, found = ways([*inbound(ONE), *inbound(foreign)]).find("Reader@Example.com")
    assert kind == "address" and [each.id for each in found] == [ONE.id]
    assert [each.id for each in ways(inbound(ONE)).find(ONE.sender)[1]] == [ONE.id]


def test_who_only_asked_for_a_recipient_is_no_mail_of_that_address() -> None:
    said = [*taken(ONE)[:1], ONE.postfix("cleanup", "removed (canceled)")]
    assert ways(said).find(ONE.to)[1] == []


@pytest.fixture
def logged(engine: FakeEngine, docker: FakeDocker) -> FakeEngine:
    """An engine with the four services, in whose logs is one mail that arrived and one that was sent."""
    sent = Mail("4jb64x3KlfzJmjF", "second@example.com", "reader@example.com", "friend@far.example")
    said = [*inbound(ONE), *outgoing(sent)]
    engine.containers = [
        container(name, log="".join(f"{text}\n" for service, text in said if service == name))
        for name in mail_log.SERVICES
    ]
    return engine


def test_the_command_shows_the_way_and_fits_the_terminal(cli: Cli, logged: FakeEngine) -> None:
    result = cli("trace", ONE.id)
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    for text in (
        "through Cloudflare (ray 8f1)",
        "score 3.50 of 15.00",
        "'INBOX'",
        "sent to reader@example.com",
    ):
        assert text in " ".join(result.stdout.split())
    document = json.loads(cli("trace", ONE.message_id, "--json").stdout)
    assert (document["is"], document["mails"][0]["result"]) == ("Message-ID", "delivered")
    assert any(step.get("symbols", {}).get("AUTH_NA") == 2.5 for step in document["mails"][0]["steps"])


def test_the_command_lists_the_mails_of_an_address_to_choose_from(cli: Cli, logged: FakeEngine) -> None:
    result = cli("trace", "reader@example.com")
    assert (
        ONE.id in result.stdout and "4jb64x3KlfzJmjF" in result.stdout and "make trace ID=" in result.stdout
    )
    assert len(json.loads(cli("trace", "reader@example.com", "--last", "1", "--json").stdout)["mails"]) == 1


def test_what_no_log_has_is_refused_with_how_far_the_logs_reach(cli: Cli, logged: FakeEngine) -> None:
    result = cli("trace", "nobody@example.com")
    said = " ".join(result.stderr.split())
    assert result.exit_code == 1 and "postfix from 2026-01-02" in said and "--since" in said


def test_where_the_log_is_gone_the_journal_of_the_api_is_asked(
    cli: Cli, logged: FakeEngine, docker: FakeDocker
) -> None:
    for one in logged.containers:
        if one["Config"]["Labels"]["com.docker.compose.service"] == "mailserver-api":
            one["log"] = ""
    docker.answer(ONE.id, json.dumps([["accepted", 250, "2.0.0 Ok", 1767322000]]) + "\n")
    steps = json.loads(cli("trace", ONE.id, "--json").stdout)["mails"][0]["steps"]
    assert "as its journal remembers" in steps[0]["text"]


def test_what_a_stranger_writes_cannot_steer_the_terminal(cli: Cli, logged: FakeEngine) -> None:
    hostile = Mail(ONE.id, "a\x1b[2Jb@x.example")
    logged.containers[1]["log"] = "".join(
        f"{text}\n" for service, text in taken(hostile) if service == "postfix"
    )
    for words in (("trace", ONE.id), ("logs", "postfix")):
        assert "\x1b" not in cli(*words).stdout


def test_a_time_that_is_none_is_misuse(cli: Cli, logged: FakeEngine) -> None:
    result = cli("trace", ONE.id, "--since", "yesterday")
    assert result.exit_code == 2 and "30m, 6h, 7d" in " ".join(result.stderr.split())
