"""Rounds through all keys, a slice with each watermark."""

from typing import Any

import pytest
from fake_flink import END_MS, FakeRuntime, FakeWalk

import operators.rounds
from operators.rounds import MOST_S, QUOTA, Rounds


class Looker:
    """Looks at each key in its turn, which takes a while; on a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slices: list[list[str]] = []
        self.takes_s = 0.03

    def open(self, runtime: Any) -> None:
        self.rounds = Rounds(runtime, "customers", lambda: self.now_s)
        self._state = runtime.get_state(Named("customers"))

    def process_element(self, payload: bytes, runtime: FakeRuntime) -> tuple[()]:
        self._state.update(payload)
        return ()

    def on_timer(self, time_ms: int, runtime: FakeRuntime) -> tuple[()]:
        if self.rounds.begins(runtime.key, time_ms):
            self.rounds.begin(runtime.watermark_ms)
        if self.rounds.is_time(runtime.key, time_ms):
            self.slices.append([])
            for key in self.rounds.slice(runtime.watermark_ms):
                assert key == runtime.key
                self.slices[-1].append(key)
                self.now_s += self.takes_s
        return ()


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


KEYS = [f"c{number:02d}" for number in range(20)]


@pytest.fixture
def looker() -> Looker:
    return Looker()


@pytest.fixture
def runtime(looker: Looker, monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    monkeypatch.setattr(operators.rounds.KeyWalk, "begun", FakeWalk)
    runtime = FakeRuntime(looker)
    runtime.watermark_ms = 0
    for key in KEYS:
        runtime.element(key, b"s")
    return runtime


class TestRounds:
    def test_everybody_once(self, looker: Looker, runtime: FakeRuntime) -> None:
        """In slices of a quarter of the time between them; the keys that come meanwhile are not in it."""
        looker.rounds.begin(0)
        assert runtime.key == KEYS[-1]
        for time_ms in range(1, 40):
            runtime.element(f"d{time_ms}", b"t")
            looker.now_s += 0.24  # of which a quarter is two looks
            runtime.advance(time_ms)
        assert looker.slices == [KEYS[at : at + 2] for at in range(0, len(KEYS), 2)]
        assert not looker.rounds.under_way

    def test_no_slice_is_long(self, looker: Looker, runtime: FakeRuntime) -> None:
        """However long nothing has happened, and however long one look takes."""
        looker.rounds.begin(0)
        looker.now_s += 3_600
        runtime.advance(1)
        assert len(looker.slices[0]) == 4
        assert 3 * looker.takes_s < MOST_S <= 4 * looker.takes_s
        looker.takes_s = 10.0
        for time_ms in (2, 3):
            looker.now_s += 0.01 / QUOTA
            runtime.advance(time_ms)
        assert [len(one) for one in looker.slices[1:]] == [1, 1]

    def test_one_slice_with_each_watermark(self, looker: Looker, runtime: FakeRuntime) -> None:
        """However far it goes; and at the end of time, all that are left."""
        looker.rounds.begin(0)
        runtime.advance(1_000_000)
        assert len(looker.slices) == 1
        assert looker.rounds.under_way
        runtime.advance(END_MS)
        assert [key for one in looker.slices for key in one] == KEYS
        assert len(looker.slices) == 2
        assert not looker.rounds.under_way

    def test_timers_of_others(self, looker: Looker, runtime: FakeRuntime) -> None:
        """At the same time, of another key, or of the same key at another time."""
        looker.rounds.begin(0)
        assert looker.rounds.is_time(KEYS[0], 1)
        assert not looker.rounds.is_time(KEYS[1], 1)
        assert not looker.rounds.is_time(KEYS[0], 2)

    def test_anew(self, looker: Looker, runtime: FakeRuntime) -> None:
        """A round in place of one that is under way: its timer is nobody's any more."""
        looker.rounds.begin(0)
        looker.now_s += 0.3
        runtime.advance(1)
        looker.rounds.begin(1)
        for time_ms in range(2, 30):
            looker.now_s += 1
            runtime.advance(time_ms)
        assert [key for one in looker.slices[1:] for key in one] == KEYS

    def test_planned(self, looker: Looker, runtime: FakeRuntime) -> None:
        """For two times to come: at each of them a round begins, with those who are there then."""
        looker.rounds.plan(5)
        looker.rounds.plan(9)
        assert runtime.key == KEYS[-1]
        runtime.advance(4)
        assert not looker.rounds.under_way
        looker.now_s += 3_600
        for time_ms in range(5, 9):
            runtime.advance(time_ms)
        assert looker.slices[0] == KEYS[:1]
        met = len(looker.slices)
        runtime.element("late", b"s")
        looker.takes_s = 0.0
        runtime.advance(9)
        looker.now_s += 1
        runtime.advance(10)
        assert looker.slices[met:] == [[*KEYS, "late"]]

    def test_nobody(self, looker: Looker, runtime: FakeRuntime) -> None:
        """There is no round without keys, nor where they cannot be listed."""
        runtime.states["customers"].by_key.clear()
        looker.rounds.begin(0)
        looker.rounds.plan(7)
        assert not looker.rounds.under_way
        assert not runtime.event_timers


def test_process_mode() -> None:
    """Nobody can list the keys."""
    rounds = Rounds(object(), "customers")
    rounds.begin(0)
    assert not rounds.under_way
