"""Sessions against working them out anew from all events."""

from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.settings import DAY_MS, HOUR_MS, MINUTE_MS
from state.customer.counts import WINDOWS_MS
from state.customer.sessions import Sessions
from state.dict_chunks import DictChunkStore

GAP_MS, IDLE_MS = 30 * MINUTE_MS, DAY_MS
PAUSES = (0, 1, MINUTE_MS, GAP_MS, GAP_MS + 1, 5 * HOUR_MS, DAY_MS - 1, DAY_MS, DAY_MS + 1, 7 * DAY_MS, 40 * DAY_MS)
Step = tuple[int, str | None]


@dataclass
class Session:
    first_ms: int
    last_ms: int


def naive(steps: list[Step]) -> list[Session]:
    sessions: list[Session] = []
    by_id: dict[str, Session] = {}
    current: Session | None = None
    previous_ms = 0
    for time_ms, name in steps:
        if name is None:
            joined = current if current is not None and time_ms - previous_ms <= GAP_MS else None
        else:
            joined = by_id.get(name)
            if joined is not None and time_ms - joined.last_ms > IDLE_MS:
                joined = None
        if joined is None:
            joined = Session(time_ms, time_ms)
            sessions.append(joined)
        if name is not None:
            by_id[name] = joined
        joined.last_ms = previous_ms = time_ms
        current = joined
    return sessions


def windows(sessions: list[Session], now_ms: int) -> list[tuple[int, int]]:
    inside = [[one for one in sessions if one.first_ms > now_ms - width] for width in WINDOWS_MS]
    return [(len(found), sum(one.last_ms - one.first_ms for one in found)) for found in inside]


def found(sessions: Sessions) -> list[tuple[int, int]]:
    return [(sessions.count(window), sessions.length_ms[window]) for window in range(len(WINDOWS_MS))]


def steps_of(seed: int, length: int) -> list[Step]:
    random, now_ms = Random(seed), 1_000 * DAY_MS
    names = (None, None, "s1", "s2", *(f"s{number}" for number in range(3, 3 + seed % 12)))
    return [(now_ms := now_ms + random.choice(PAUSES), random.choice(names)) for _ in range(length)]


def feed(sessions: Sessions, steps: list[Step], previous_ms: int | None = None) -> None:
    for time_ms, name in steps:
        sessions.expire(time_ms)
        sessions.see(time_ms, name, previous_ms)
        previous_ms = time_ms


class TestAgainstAllEvents:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 40))
    def test_at_every_event(self, seed: int, length: int) -> None:
        sessions, done = Sessions(4, GAP_MS, IDLE_MS), []
        previous_ms = None
        for time_ms, name in steps_of(seed, length):
            sessions.expire(time_ms)
            assert found(sessions) == windows(naive(done), time_ms)
            sessions.see(time_ms, name, previous_ms)
            previous_ms = time_ms
            done.append((time_ms, name))
            assert found(sessions) == windows(naive(done), time_ms)
            for window in range(len(WINDOWS_MS)):
                for threshold_ms in (1, MINUTE_MS, 3 * HOUR_MS):
                    assert_crossing(sessions, naive(done), window, threshold_ms)

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(2, 40), st.data())
    def test_rewound_and_lived_through_again(self, seed: int, length: int, data: st.DataObject) -> None:
        """A snapshot between two milliseconds, other events after it, and some forgotten before."""
        steps = steps_of(seed, length)
        cuts = [at for at in range(1, len(steps)) if steps[at - 1][0] < steps[at][0]] or [len(steps)]
        cut = data.draw(st.sampled_from(cuts))
        at_ms = steps[cut - 1][0]
        sessions = Sessions(4, GAP_MS, IDLE_MS)
        feed(sessions, steps[:cut])
        snapshot = sessions.snapshot()
        feed(sessions, steps[cut:], at_ms)
        sessions.forget(at_ms)
        other = [(time_ms, name) for time_ms, name in steps_of(seed + 1, 6) if time_ms > at_ms]
        sessions.rewind(at_ms, snapshot)
        assert found(sessions) == windows(naive(steps[:cut]), at_ms)
        feed(sessions, other, at_ms)
        if other:
            assert found(sessions) == windows(naive(steps[:cut] + other), other[-1][0])

    def test_what_no_window_can_ask_for_is_let_go(self) -> None:
        sessions = Sessions(4, GAP_MS, IDLE_MS)
        for day in range(1_000):
            feed(sessions, [(day * DAY_MS, f"s{day}")], (day - 1) * DAY_MS if day else None)
            sessions.forget((day - 7) * DAY_MS)
        assert len(sessions.starts.values) == len(sessions.lasts.values) <= 100
        store = DictChunkStore()
        sessions.clear(store)
        assert found(sessions) == [(0, 0)] * len(WINDOWS_MS)


def assert_crossing(sessions: Sessions, true: list[Session], window: int, threshold_ms: int) -> None:
    """What is foretold is the very moment at which the summed length falls below the threshold."""
    left_ms = [windows(true, one.first_ms + WINDOWS_MS[window])[window][1] for one in true]
    now = sessions.length_ms[window] >= threshold_ms
    first = next(
        (
            one.first_ms + WINDOWS_MS[window]
            for one, left in zip(true, left_ms, strict=True)
            if left < threshold_ms
        ),
        None,
    )  # fmt: skip
    if now:
        assert sessions.length_falls_below(threshold_ms, window) == first


def test_an_idle_session_id_does_not_keep_later_sessions() -> None:
    """One producer's session, then years without: what no window asks for goes."""
    day = 86_400_000
    sessions = Sessions(4, 30 * 60_000, day)
    sessions.see(0, "once", None)
    for number in range(1, 500):
        sessions.see(number * day, None, (number - 1) * day)
        sessions.expire(number * day)
        sessions.forget(number * day)
    assert len(sessions.starts.values) <= 92
