"""The monitor's incidents as a state machine: one alarm and one all-clear of each, none while it is muted."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mailctl.monitor.incidents import ALARM, ALL_CLEAR, Record, Seen, advance, opened

HOLD, CLEAR = 120.0, 300.0
IDS = ("a", "b", "c")
PRESENT, ABSENT, UNKNOWN = "present", "absent", "unknown"
STATES = (PRESENT, ABSENT, UNKNOWN)
#: c is explained by a.
BEHIND = {"c": ("a",)}


class Watching(RuleBasedStateMachine):
    """What is seen of three conditions changes at random; an oracle that knows the past judges each run."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, Record] = {}
        self.now = 1000.0
        self.state = dict.fromkeys(IDS, ABSENT)
        self.muted: set[str] = set()
        #: Of each the runs since its last alarm or all-clear: time, state, whether something kept it silent.
        self.past: dict[str, list[tuple[float, str, bool]]] = {id: [] for id in IDS}
        self.open = dict.fromkeys(IDS, False)
        self.sent: dict[str, list[str]] = {id: [] for id in IDS}

    @initialize(state=st.sampled_from(STATES))
    def begin(self, state: str) -> None:
        self.state["a"] = state

    @rule(id=st.sampled_from(IDS), state=st.sampled_from(STATES))
    def changes(self, id: str, state: str) -> None:
        self.state[id] = state

    @rule(id=st.sampled_from(IDS))
    def is_silenced_or_not(self, id: str) -> None:
        self.muted ^= {id}

    @rule(seconds=st.sampled_from([1.0, 60.0, 119.0, 120.0, 300.0, 5000.0]), runs=st.integers(1, 4))
    def time_passes(self, seconds: float, runs: int) -> None:
        for _ in range(runs):
            self.now += seconds
            self.look()

    def look(self) -> None:
        seen = {
            id: Seen(id, id, "warning", "it is wrong", "mend it", HOLD, CLEAR, BEHIND.get(id, ()))
            for id in IDS
            if self.state[id] == PRESENT
        }
        unanswered = {id for id in IDS if self.state[id] == UNKNOWN}
        events = advance(self.records, seen, unanswered, self.now, lambda id, _: id in self.muted)
        wanted = {id: self.verdict(id) for id in IDS}
        assert {one.id: one.kind for one in events} == {id: kind for id, kind in wanted.items() if kind}
        for one in events:
            self.sent[one.id].append(one.kind)
            self.open[one.id] = one.kind == ALARM
            self.past[one.id] = []

    def verdict(self, id: str) -> str:
        """What must be sent of it now, by all that was seen since the last was."""
        explained = any(self.state[cause] == PRESENT for cause in BEHIND.get(id, ()))
        silent = id in self.muted or (explained and not self.open[id])
        self.past[id].append((self.now, self.state[id], silent))
        if silent or self.state[id] == UNKNOWN:
            return ""
        if self.open[id]:
            return ALL_CLEAR if self.lasted(id, ABSENT) >= CLEAR else ""
        return ALARM if self.lasted(id, PRESENT) >= HOLD else ""

    def lasted(self, id: str, state: str) -> float:
        """For how long it has been so without another answer; -1: it is not. What was muted or unknown
        between does not end it, but a muted run lets an alarm's time begin anew.
        """
        begun = None
        for at, was, silent in self.past[id]:
            if was == UNKNOWN:
                continue
            if was != state:
                begun = None
            elif silent:
                begun = at if state == PRESENT else begun
            elif begun is None:
                begun = at
        return -1 if begun is None else self.now - begun

    @invariant()
    def alarms_and_all_clears_take_turns(self) -> None:
        for sent in self.sent.values():
            assert sent == [ALARM, ALL_CLEAR] * (len(sent) // 2) + [ALARM] * (len(sent) % 2)

    @invariant()
    def what_is_open_is_in_the_state(self) -> None:
        assert {one["id"] for one in opened(self.records)} == {id for id in IDS if self.open[id]}


Watching.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestWatching = Watching.TestCase


def test_what_comes_and_goes_each_minute_is_neither_alarmed_nor_cleared_each_time() -> None:
    records: dict[str, Record] = {}
    sent = []
    for minute in range(600):
        wrong = minute % 3 != 0 if minute > 100 else minute % 2 == 0
        seen = {"a": Seen("a", "a", "warning", "x", "y", 60, 120)} if wrong else {}
        sent += [one.kind for one in advance(records, seen, (), 60.0 * minute, lambda *_: False)]
    assert sent == [ALARM]


def test_what_only_happens_has_no_all_clear() -> None:
    records: dict[str, Record] = {}
    seen = {"a": Seen("a", "a", "warning", "x", "y", 0, 0, once=True)}
    assert [one.kind for one in advance(records, seen, (), 0, lambda *_: False)] == [ALARM]
    assert advance(records, {}, (), 60, lambda *_: False) == [] and records == {}
