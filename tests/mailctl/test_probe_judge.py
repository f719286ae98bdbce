"""What a probe's header says of its way: passes, failures, and the seconds of each hop."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_probe import DOMAIN, GOOD, OURS, at, header

from mailctl.probe.judge import Judgement, judge


def test_a_good_probe_passes_with_its_selector_and_the_seconds_of_each_hop() -> None:
    found = judge(header(), DOMAIN, 1e9)
    assert (found.dkim, found.spf, found.dmarc, found.selector) == ("pass", "pass", "pass", "mailctl1")
    assert [(hop.by, hop.seconds) for hop in found.hops] == [
        (OURS, 1),
        ("relay.example", 1),
        ("cloudflare-email.net", 28),
        (OURS, 3),
        ("dovecot", 0),
    ]
    assert found.seconds == 33 and found.problem() is None


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (GOOD.replace("dkim=pass", "dkim=fail"), "does not verify (selector mailctl1): DKIM fail"),
        (GOOD.replace(f"header.d={DOMAIN}", "header.d=amazonses.com"), "DKIM none"),
        (GOOD.replace("dmarc=pass", "dmarc=fail"), "DMARC fail"),
        (f"{OURS}; dkim=none; spf=pass; dmarc=none", "DKIM none"),
        ("", "rspamd has written no results"),
        (GOOD.replace(OURS, "mx.cloudflare.net", 1), "rspamd has written no results"),
    ],
)
def test_what_receivers_would_refuse_is_said_with_a_fix(results: str, said: str) -> None:
    problem = judge(header(results), DOMAIN, 1e9).problem()
    assert problem and said in problem[0] and "make " in problem[1]


def test_the_relay_s_own_signature_beside_ours_changes_nothing() -> None:
    both = GOOD.replace("; dkim=", "; dkim=fail header.d=amazonses.com header.s=x; dkim=", 1)
    assert judge(header(both), DOMAIN, 1e9).problem() is None


@pytest.mark.parametrize("own", ["", f"Authentication-Results: {GOOD}"])
def test_results_that_the_outside_wrote_are_not_believed(own: str) -> None:
    bad = GOOD.replace("pass", "fail") if own else ""
    assert judge(header(bad, foreign=GOOD, own=own), DOMAIN, 1e9).dkim == ""


@given(st.text(), st.floats(0, 4e9))
@example("Received: by x;\nReceived: ; 99 Foo 0\nAuthentication-Results: x; =; a=b;", 0.0)
def test_no_header_is_too_odd_to_be_judged(text: str, sent: float) -> None:
    found = judge(text, DOMAIN, sent)
    assert found.seconds >= 0 and (found.problem() or found.dkim == "pass")


@given(
    st.lists(st.sampled_from(["\n\t", " (a (nested) comment; dkim=fail) ", "  "]), min_size=6, max_size=6),
    st.sampled_from(["pass", "fail", "none", "temperror"]),
)
def test_folding_and_comments_do_not_change_a_result(between: list[str], word: str) -> None:
    text = GOOD.replace("dkim=pass", f"dkim={word}")
    spaces = iter(between)
    text = re.sub(r" (?=header|smtp)", lambda found: next(spaces, found[0]), text)
    assert judge(header(text), DOMAIN, 1e9).dkim == word


@given(st.lists(st.integers(-300, 300), max_size=8))
def test_clocks_that_differ_never_give_negative_seconds(times: list[int]) -> None:
    lines = [f"Received: by h{n}; {at(when, 1e9)}" for n, when in enumerate(times)]
    found = judge("\n".join(reversed(lines)) + "\n", DOMAIN, 1e9)
    assert all(hop.seconds >= 0 for hop in found.hops)
    assert found.seconds == max([0, *times])


def test_without_results_there_is_no_judgement() -> None:
    assert Judgement().problem() is not None
