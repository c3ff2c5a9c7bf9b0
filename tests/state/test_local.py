"""The run without an engine: watermark, timers, stores."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from state.channels import Channel, Output
from state.local import LocalRun

NEVER_MS = 1 << 62


class Waking:
    """Asks to be woken at the times that its payloads name; writes down what happens to it."""

    as_of_ms: int | None = 1 << 61  # a bounded run, far from its end

    def __init__(self, chain: dict[int, int] | None = None) -> None:
        self.chain = chain or {}  # woken at one time, asks for another
        self.events: list[tuple[str, bytes, int]] = []
        self.woken: list[tuple[str, int, int]] = []

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: Any) -> tuple[int | None, Iterable[Output]]:
        self.events.append((key, payload, watermark_ms))
        store.save((store.load() or b"") + payload)
        return (int(payload) if payload.strip() else None), [(Channel.COUNTS, key, payload)]

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: Any) -> tuple[int | None, Iterable[Output]]:
        self.woken.append((key, time_ms, watermark_ms))
        return self.chain.get(time_ms), [(Channel.COUNTS, key, store.load())]


def local(logic: Waking, out_of_orderness_ms: int = 10) -> LocalRun:
    return LocalRun(logic, out_of_orderness_ms)  # type: ignore[arg-type]


class TestWatermark:
    def test_it_follows_the_newest_event_and_never_goes_back(self) -> None:
        logic = Waking()
        run = local(logic)
        for time_ms in (100, 50, 120, None, 90):
            run.feed("a", time_ms, b"")
        assert [watermark_ms for _, _, watermark_ms in logic.events] == [-1, 90, 90, 110, 110]
        assert run.watermark_ms == 110

    def test_an_event_is_handled_before_the_timers_that_it_lets_fire(self) -> None:
        logic = Waking()
        run = local(logic)
        run.feed("a", 0, b"50")
        outputs = run.feed("a", 60, b"")
        assert [payload for _, _, payload in outputs] == [b"", b"50"]
        assert logic.woken == [("a", 50, 50)]


class TestTimers:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 300), st.integers(0, 400)), max_size=25))
    def test_in_order_and_none_lost(self, steps: list[tuple[str, int, int]]) -> None:
        """Each fires when the watermark has reached it, in order of time within each move of the watermark.

        Several for one key and moment are one, as in Flink, unless the first has fired before the next is asked for.
        """
        logic = Waking()
        run = local(logic)
        waiting: set[tuple[str, int]] = set()
        for key, time_ms, wake_ms in steps:
            before = len(logic.woken)
            run.feed(key, time_ms, b"%d" % wake_ms)
            waiting.add((key, wake_ms))
            due = {timer for timer in waiting if timer[1] <= run.watermark_ms}
            # what is set for the past waits for the next move of the watermark
            fired = [(key, at_ms) for key, at_ms, _ in logic.woken[before:]]
            assert fired == sorted(fired, key=lambda timer: timer[1])
            assert set(fired) in (due, set())
            assert len(fired) == len(set(fired))
            waiting -= set(fired)
        before = len(logic.woken)
        list(run.close())
        left = [(key, time_ms) for key, time_ms, _ in logic.woken[before:]]
        keys = list(dict.fromkeys(key for key, _, _ in steps))
        assert left == [*sorted(waiting, key=lambda timer: timer[::-1]), *((key, NEVER_MS) for key in keys)]

    def test_a_chain_is_lived_through_in_one_move_of_the_watermark(self) -> None:
        logic = Waking({5: 7, 7: 9, 9: 30})
        run = local(logic)
        run.feed("a", 0, b"5")
        run.feed("b", 30, b"6")
        assert [time_ms for _, time_ms, _ in logic.woken] == [5, 6, 7, 9]
        run.feed("b", 40, b"")
        assert logic.woken[-1] == ("a", 30, 30)

    def test_timers_of_one_moment_are_one(self) -> None:
        """Each of them would ask for the next: they would multiply for ever."""
        logic = Waking({5: 7, 7: 9})
        run = local(logic)
        for _ in range(3):
            run.feed("a", 0, b"5")
        run.feed("a", 30, b"")
        assert [time_ms for _, time_ms, _ in logic.woken] == [5, 7, 9]

    def test_the_last_timer_of_a_key_comes_after_all_others(self) -> None:
        logic = Waking({50: 60})
        run = local(logic)
        run.feed("a", 0, b"50")
        run.feed("b", 0, b"")
        list(run.close())
        assert [(key, time_ms) for key, time_ms, _ in logic.woken] == [
            ("a", 50), ("a", 60), ("a", NEVER_MS), ("b", NEVER_MS),
        ]  # fmt: skip

    def test_a_live_run_ends_without_a_last_timer(self) -> None:
        """It has no books to close; what was due is still done."""
        logic = Waking({50: 60})
        logic.as_of_ms = None
        run = local(logic)
        run.feed("a", 0, b"50")
        assert [payload for _, _, payload in run.close()] == [b"50", b"50"]
        assert [time_ms for _, time_ms, _ in logic.woken] == [50, 60]


class TestStores:
    def test_each_key_has_its_own(self) -> None:
        run = local(Waking())
        for key, payload in (("a", b"1"), ("b", b"2"), ("a", b"3")):
            run.feed(key, None, payload)
        assert {key: store.load() for key, store in run.stores.items()} == {"a": b"13", "b": b"2"}

    def test_clearing_the_value_leaves_the_chunks(self) -> None:
        run = local(Waking())
        run.feed("a", None, b"1")
        store = run.stores["a"]
        store.put_chunk(7, b"x")
        store.clear()
        assert store.load() is None
        assert store.get_chunk(7) == b"x"
