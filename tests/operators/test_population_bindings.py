"""The operators of a population around their logics, on a stand-in for Flink."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest
from fake_flink import FakeRuntime, FakeWalk
from pyflink.common import Row

import operators.assign
import operators.rounds
from operators.assign import HISTORY_MS, WAKE_EVERY_S, WAKE_SHARE, AssignOperator
from operators.customer import CustomerBinding, CustomerOperator
from operators.gather import MERGER_KEY, GatherOperator
from operators.imports import import_apart
from operators.logic import Channel, KeyedStore, Output, PendingStore, Step, Totals, ValueStore
from operators.pace import Pace
from operators.population import PopulationOperator
from operators.tags import (
    CHANGE_RECORDS,
    MEMBERSHIP_RECORDS,
    MODEL_RECORDS,
    MODELS,
    REDIS,
    SEGMENT_CHANGES,
    SNAPSHOTS,
    STANDINGS,
)
from operators.types import END_OF_TIME_MS
from state.population.sight import Sight
from state.population.snapshots import Look, Message
from state.population.standing import Standing
from state.rules.tree import Asked
from state.tally import AssignTally, CustomerTally, MergerTally


class TenGather:
    """Intervals of ten milliseconds; a parcel is the messages one after the other."""

    def on_message(self, message: bytes, watermark_ms: int, store: PendingStore) -> int:
        store.append(message)
        return (max(watermark_ms, 0) // 10 + 1) * 10

    def on_time(self, time_ms: int, watermark_ms: int, store: PendingStore) -> list[bytes]:
        packed = b"".join(store.pending())
        store.drop_pending()
        return [b"%d:%s until %d" % (time_ms, packed, watermark_ms)] if packed else []


class EchoMerger:
    """Waits until the time that a parcel says; then says on all channels what has come."""

    def __init__(self) -> None:
        self.tally = MergerTally()

    def on_parcel(self, payload: bytes, watermark_ms: int, store: PendingStore) -> int:
        store.append(payload)
        return max(int(payload), watermark_ms + 1)

    def on_control(self, raw: bytes, store: PendingStore) -> None:
        store.save((store.load() or b"") + raw)

    def on_time(self, time_ms: int, watermark_ms: int, store: PendingStore) -> Iterable[Output]:
        due = [one for one in store.pending() if int(one) <= time_ms]
        left = [one for one in store.pending() if int(one) > time_ms]
        store.drop_pending()
        for one in left:
            store.append(one)
        told = b",".join([store.load() or b"", *due])
        self.tally.intervals += len(due)
        return [(Channel.VIEW, "", told), (Channel.REDIS, "models", told), (Channel.MODEL, "drift", b"{}")]


class EchoAssign:
    """Keeps the last that was broadcast; says it with each standing and timer, and wakes five later."""

    def __init__(self) -> None:
        self.tally, self._known = AssignTally(), b""

    def on_start(self, kept: Totals) -> bool:
        self._known = kept.get("last") or b""
        kept.put("starts", b"%d" % (int(kept.get("starts") or b"0") + 1))
        return self._known == b"wake"

    def on_broadcast(self, payload: bytes, kept: Totals) -> bool:
        kept.put("last", payload)
        self._known = payload
        return payload == b"wake"

    def on_standing(self, key: str, payload: bytes, watermark_ms: int, store: ValueStore) -> Step:
        store.save(payload)
        return watermark_ms + 5, self._said(key, payload)

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: ValueStore) -> Step:
        return None, self._said(key, b"%d" % time_ms) if store.load() else ()

    def _said(self, key: str, payload: bytes) -> list[Output]:
        told = payload + b"/" + self._known
        channels = (Channel.SEGMENT_CHANGE, Channel.MEMBERSHIPS, Channel.REDIS)
        return [(channel, key, told) for channel in channels]


def standing(as_of_ms: int) -> bytes:
    cause: Any = ("event", "e")
    return Standing(as_of_ms, 1, "v", True, 0, cause, b"").packed()


class StandingCustomer:
    """Says a standing with each event, and as the books are closed; asks of the population what it is told to."""

    def __init__(self) -> None:
        self.tally = CustomerTally()
        self.news_ms: int | None = None

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step:
        self.news_ms = int(payload) or None
        store.save(payload)
        return None, [(Channel.STANDING, key, standing(int(payload)))]

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: KeyedStore) -> Step:
        self.news_ms = None
        return None, [(Channel.STANDING, key, standing(99))] if time_ms == END_OF_TIME_MS else ()

    def sight(self, key: str, time_ms: int, store: KeyedStore) -> Sight:
        return Sight(time_ms, int(store.load() or b"0"), None)

    def asks(self) -> Iterable[Asked]:
        return [Asked("percentile", ("engagement", 80))]


class EchoSnapshots:
    """Looks at customers at the end of a ten in which there was news, and again forty later; tells what it sees."""

    def __init__(self) -> None:
        self.counted: list[str] = []

    def count(self, features: Iterable[str]) -> None:
        self.counted = sorted(features)

    def is_time(self, time_ms: int) -> bool:
        return time_ms % 10 == 9

    def is_in(self, look_ms: int, time_ms: int) -> bool:
        return time_ms > look_ms - 10

    def look_ms(self, key: str, news_ms: int, watermark_ms: int) -> int | None:
        return max(news_ms, watermark_ms + 1) // 10 * 10 + 9

    def note(self, look_ms: int, store: ValueStore) -> None:
        store.save(b"%d noted" % look_ms)

    def on_time(
        self, key: str, time_ms: int, store: ValueStore, see: Callable[[], Sight], *, closing: bool = False
    ) -> Look:
        seen = see()
        told = Message(key, seen.as_of_ms, ",".join(self.counted).encode(), closing, None, (), seen.revision)
        again = (store.load() or b"").endswith(b"noted")
        store.save(b"looked")
        said = None if closing else Standing.unpacked(standing(time_ms))
        return Look(time_ms + 40 if again and not closing else None, told, said)


def again(runtime: FakeRuntime, operator: Any) -> FakeRuntime:
    """The operator anew, with state and timers of before, and without a watermark."""
    restarted = FakeRuntime(operator)
    restarted.states, restarted.broadcast = runtime.states, runtime.broadcast
    restarted.event_timers = runtime.event_timers
    for state in (*runtime.states.values(), runtime.broadcast):
        state._runtime = restarted
    operator.open(restarted)
    return restarted


class TestGather:
    def test_parcels_of_intervals(self) -> None:
        """One for each key and interval, to the key of the population; a timer for each interval, once."""
        runtime = FakeRuntime(GatherOperator(TenGather))
        for key, message in (("0", b"a"), ("17", b"b"), ("0", b"c")):
            runtime.element(key, message)
        assert runtime.event_timers == {10: {"0", "17"}}
        runtime.advance(9)
        assert runtime.outputs == []
        runtime.advance(12)
        assert runtime.outputs == [Row(MERGER_KEY, b"10:ac until 12"), Row(MERGER_KEY, b"10:b until 12")]
        runtime.element("0", b"d")
        runtime.advance(30)
        assert runtime.outputs[2:] == [Row(MERGER_KEY, b"20:d until 30")]
        assert not any(state.by_key for state in runtime.states.values())

    def test_restart(self) -> None:
        """What waits is told at its time, wherever the key is now; what comes has a timer of its own."""
        runtime = FakeRuntime(GatherOperator(TenGather))
        runtime.element("0", b"a")
        restarted = again(runtime, GatherOperator(TenGather))
        restarted.element("17", b"b")
        restarted.element("0", b"c")
        restarted.advance(10)
        assert restarted.outputs == [Row(MERGER_KEY, b"10:ac until 10"), Row(MERGER_KEY, b"10:b until 10")]


class TestPopulation:
    @pytest.mark.parametrize("bounded", [True, False])
    def test_channels(self, bounded: bool) -> None:
        """Views are the main output, under the key of the input; what is told of models is a line or a record."""
        runtime = FakeRuntime(PopulationOperator(EchoMerger, bounded=bounded))
        for payload in (b"20", b"10", b"30"):
            runtime.element(MERGER_KEY, payload)
        runtime.element(MERGER_KEY, b'{"control": 1}')
        assert runtime.outputs == []
        runtime.advance(20)
        models: Any = (MODELS, "{}") if bounded else (MODEL_RECORDS, Row("drift", b"{}"))
        first, second = b'{"control": 1},10', b'{"control": 1},20'
        assert runtime.outputs == [
            *(Row("", first), (REDIS, Row("", first)), models),
            *(Row("", second), (REDIS, Row("", second)), models),
        ]

    def test_restart(self) -> None:
        """What waits is learnt from at its time, with what was said before."""
        runtime = FakeRuntime(PopulationOperator(EchoMerger, bounded=False))
        runtime.element(MERGER_KEY, b'{"control": 1}')
        runtime.element(MERGER_KEY, b"20")
        restarted = again(runtime, PopulationOperator(EchoMerger, bounded=False))
        restarted.advance(20)
        assert restarted.outputs[0] == Row("", b'{"control": 1},20')


class TestAssign:
    @pytest.mark.parametrize("bounded", [True, False])
    def test_channels_and_timers(self, bounded: bool) -> None:
        """Redis writes under the subtask's own key are the main output; in a bounded run every key has an end."""
        runtime = FakeRuntime(AssignOperator(EchoAssign, bounded=bounded, keys=("7",)))
        runtime.watermark_ms = 0
        runtime.broadcast_element("", b"v1")
        runtime.element("a", b"s")
        runtime.element("a", b"t")
        told = [one for one in runtime.outputs if isinstance(one, Row)]
        assert told == [Row("7", b"s/v1"), Row("7", b"t/v1")]
        tag, change = runtime.outputs[0]
        assert (tag, change) == ((SEGMENT_CHANGES, "s/v1") if bounded else (CHANGE_RECORDS, Row("a", b"s/v1")))
        assert runtime.outputs[1] == (MEMBERSHIP_RECORDS, Row("a", b"s/v1"))
        runtime.end()
        times = [5, END_OF_TIME_MS] if bounded else [5]
        ends = [one for one in runtime.outputs[6:] if isinstance(one, Row)]
        assert ends == [Row("7", b"%d/v1" % time_ms) for time_ms in times]

    @pytest.mark.parametrize("how", ["element", "timer", "broadcast"])
    def test_restart(self, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was broadcast is read before the first record of any kind, and once; everybody is woken if need be."""
        woken: list[int] = []

        def begun(runtime: FakeRuntime, state_name: str) -> FakeWalk:
            woken.append(runtime.watermark_ms + 1)
            return FakeWalk(runtime, state_name)

        monkeypatch.setattr(operators.rounds.KeyWalk, "begun", begun)
        runtime = FakeRuntime(AssignOperator(EchoAssign, bounded=False))
        runtime.watermark_ms = 100
        runtime.element("a", b"s")
        assert woken == []
        runtime.broadcast_element("", b"wake")
        assert woken == [101]
        restarted = again(runtime, AssignOperator(EchoAssign, bounded=False))
        restarted.watermark_ms = 200
        if how == "element":
            restarted.element("a", b"t")
        elif how == "timer":
            restarted.advance(200)
        else:
            restarted.broadcast_element("", b"v2")
        assert woken == [101, 201]
        restarted.element("a", b"u")
        assert woken == [101, 201]
        assert restarted.outputs[-1] == Row("0", b"u/v2" if how == "broadcast" else b"u/wake")
        restarted.broadcast_element("", b"v3")
        assert restarted.broadcast.by_key == {"last": b"v3", "starts": b"2"}

    def test_a_round(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Everybody is seen with what is new, once, and none of it is said in place of what was to be said then."""
        monkeypatch.setattr(operators.rounds.KeyWalk, "begun", FakeWalk)
        runtime = FakeRuntime(AssignOperator(EchoAssign, bounded=False))
        runtime.watermark_ms = 0
        for customer in ("a", "b", "c"):
            runtime.element(customer, b"s")
        runtime.watermark_ms = 4
        runtime.broadcast_element("", b"wake")
        assert runtime.key == "c"
        assert runtime.event_timers == {5: {"a", "b", "c"}}
        runtime.outputs.clear()
        for time_ms in range(5, 12):
            runtime.advance(time_ms)
        told = [row for tag, row in runtime.outputs if tag is CHANGE_RECORDS]
        own = [Row("b", b"5/wake"), Row("c", b"5/wake")]
        seen = [row[0] for row in told if row not in own]
        assert (told.count(own[0]), told.count(own[1])) == (1, 1)
        assert seen == ["a", "b", "c"]
        assert not runtime.event_timers

    @pytest.mark.parametrize(("behind_ms", "due_s"), [(HISTORY_MS - 10, 30), (HISTORY_MS + 10, 210)])
    def test_history_wakes_seldom(self, behind_ms: int, due_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A round of a second is a twentieth of the time, or, where time is that of long ago, a two-hundredth."""
        woken, clock_s = list[str](), [0.0]
        monkeypatch.setattr(operators.rounds.KeyWalk, "begun", lambda context, state: woken.append(state))
        monkeypatch.setattr(operators.assign, "wall_clock_ms", lambda: 10 * HISTORY_MS)
        runtime = FakeRuntime(AssignOperator(EchoAssign, bounded=False))
        runtime.operator._pace = Pace(WAKE_EVERY_S, WAKE_SHARE, lambda: clock_s[0])
        runtime.watermark_ms = 10 * HISTORY_MS - behind_ms
        runtime.broadcast_element("", b"wake")
        runtime.operator._pace.begin_part()
        clock_s[0] += 1.0
        runtime.operator._pace.end_part()
        runtime.broadcast_element("", b"wake")
        clock_s[0] = due_s - 0.5
        runtime.element("a", b"s")
        assert len(woken) == 1
        clock_s[0] = due_s + 0.5
        runtime.element("a", b"s")
        assert len(woken) == 2


class TestSnapshots:
    def test_beside_the_customers(self) -> None:
        """Standings go on as they are, so do those of looks; what a look tells, under the subtask's own key."""
        binding = CustomerBinding(bounded=True, keys=("7",), snapshots=EchoSnapshots)
        runtime = FakeRuntime(CustomerOperator(StandingCustomer, binding))
        runtime.watermark_ms = 5
        for payload in (b"11", b"12", b"0"):
            runtime.element("a", payload)
        runtime.element("b", b"0")
        assert [tag for tag, _ in runtime.outputs] == [STANDINGS] * 4
        assert runtime.event_timers == {19: {"a"}, END_OF_TIME_MS: {"a", "b"}}
        runtime.advance(18)
        assert len(runtime.outputs) == 4
        asked = b"engagement,orders_total,recency_ms,revenue_total_cents"
        for at_ms in (19, 59):
            runtime.advance(at_ms)
            told = Message("a", at_ms, asked, False, None, (), 0)
            said = (SNAPSHOTS, Row("7", told.packed())), (STANDINGS, Row("a", standing(at_ms)))
            assert runtime.outputs[-2:] == list(said)
        assert len(runtime.outputs) == 8
        assert runtime.states["snapshot"].by_key == {"a": b"looked"}

    def test_news_of_a_sooner_time(self) -> None:
        """An event ahead of its time is noted for later; one that comes after it, for now."""
        runtime = FakeRuntime(CustomerOperator(StandingCustomer, CustomerBinding(False, snapshots=EchoSnapshots)))
        runtime.watermark_ms = 5
        for payload in (b"31", b"11", b"12", b"32"):
            runtime.element("a", payload)
        assert runtime.event_timers == {39: {"a"}, 19: {"a"}}

    def test_the_end(self) -> None:
        """The last look is said to be the last, at everybody."""
        runtime = FakeRuntime(CustomerOperator(StandingCustomer, CustomerBinding(True, snapshots=EchoSnapshots)))
        runtime.element("a", b"10")
        runtime.element("b", b"0")
        runtime.end()
        told = [Message.unpacked(row[1]) for tag, row in runtime.outputs if tag is SNAPSHOTS]
        assert {one.customer_id for one in told if one.gone} == {"a", "b"}  # what the stand-in makes of `closing`

    def test_restart(self) -> None:
        """The state of a key is its own, beside that of the customer; what was noted is looked at."""
        binding = CustomerBinding(bounded=False, snapshots=EchoSnapshots)
        runtime = FakeRuntime(CustomerOperator(StandingCustomer, binding))
        runtime.element("a", b"10")
        restarted = again(runtime, CustomerOperator(StandingCustomer, binding))
        restarted.advance(19)
        assert [tag for tag, _ in restarted.outputs] == [SNAPSHOTS, STANDINGS]


class TestImports:
    def test_in_a_thread_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """And once: a module that is there stays as it is."""
        (tmp_path / "lonely_module.py").write_text("from threading import current_thread\nthread = current_thread()\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        import_apart("lonely_module")
        module = sys.modules.pop("lonely_module")
        assert module.thread not in (main_thread(), current_thread())

    def test_an_error_comes_through(self) -> None:
        """As if it had been imported here."""
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            import_apart("no_such_module")
