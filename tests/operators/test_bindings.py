"""The operators around a logic, on a stand-in for Flink."""

import json
from collections.abc import Iterable
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from fake_flink import FakeRuntime
from pyflink.common import Row

from jobs.graph import MAX_PARALLELISM
from operators.controlled import ControlOperator
from operators.customer import CustomerBinding, CustomerOperator
from operators.item import ItemOperator
from operators.logic import Channel, KeyedStore, Output, PendingStore, Step, Totals, ValueStore
from operators.own_key import own_key
from operators.progress import STEP, read_progress
from operators.publish import PublishOperator
from operators.published import PublishedOperator
from operators.quiet_clock import QuietClockOperator
from operators.redis_connection import RedisTarget
from operators.redis_writer import LOOKED_AFTER, RedisBatching, RedisWriter
from operators.tags import COUNTS, REDIS, REJECTED, SEGMENT_CHANGES, SIMILAR_RECORDS, TOTALS
from operators.types import END_OF_TIME_MS
from schemas.control import Control, encode_control
from schemas.settings import Settings
from schemas.writes import published_write
from state.control import ControlLogic
from state.publications import Announcement
from state.quiet_clock import WAKING_MS
from state.rules.ruleset import parse_rules
from state.tally import CustomerTally


class EchoCustomer:
    """Counts a key's events, echoes on every channel, wakes 10 ms after the watermark."""

    def __init__(self) -> None:
        self.tally = CustomerTally()

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step:
        count = int(store.load() or b"0") + 1
        store.save(b"%d" % count)
        store.put_chunk(count, payload)
        if count > 1:
            store.drop_chunk(count - 1)
        channels = [Channel(number) for number in payload]
        return (watermark_ms + 10 if count == 1 else None), [(channel, key, b"{}") for channel in channels]

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: KeyedStore) -> Step:
        if time_ms < END_OF_TIME_MS:
            return None, []
        return None, [(Channel.COUNTS, key, b'{"n":%s}' % (store.load() or b"0"))]


class SumItem:
    """Keeps messages pending; every second one makes a row."""

    def on_message(self, key: str, payload: bytes, store: PendingStore) -> Iterable[Output]:
        store.append(payload)
        if len(store.pending()) < 2:
            return ()
        store.save((store.load() or b"") + b"".join(store.pending()))
        store.drop_pending()
        return [(Channel.ROW, key, store.load() or b""), (Channel.TOTAL, key, key.encode())]

    def on_publication(self, key: str, store: PendingStore) -> Iterable[Output]:
        return [(Channel.ROW, key, b"as of now")]

    def on_end(self, key: str, store: PendingStore) -> Iterable[Output]:
        return [(Channel.REDIS, key, (store.load() or b"") + b"".join(store.pending()))]


class LastPublish:
    """Keeps the last row; at the end writes it beside the total of all."""

    def on_total(self, payload: bytes, totals: Totals) -> None:
        totals.put("all", payload)

    def on_row(
        self, key: str, payload: bytes, totals: Totals, store: ValueStore, watermark_ms: int
    ) -> Iterable[Output]:
        store.save(payload)
        return ()

    def on_publication(self, key: str, as_of_ms: int, totals: Totals, store: ValueStore) -> Iterable[Output]:
        return [(Channel.REDIS, key, b"as of %d" % as_of_ms), (Channel.SIMILAR, key, b"{}")]

    def on_end(self, key: str, totals: Totals, store: ValueStore) -> Iterable[Output]:
        return [(Channel.REDIS, key, (store.load() or b"") + (totals.get("all") or b"?"))]


class TestCustomerOperator:
    def test_channels_leave_by_their_outputs(self) -> None:
        """Messages for items are the main output; lines are text; Redis writes go by shard."""
        runtime = FakeRuntime(CustomerOperator(EchoCustomer, CustomerBinding(bounded=True)))
        runtime.element("c", bytes(range(5)))
        assert runtime.outputs == [
            (SEGMENT_CHANGES, "{}"),
            (REDIS, Row("0", b"{}")),
            Row("c", b"{}"),
            (REJECTED, "{}"),
            (COUNTS, "{}"),
        ]

    def test_every_key_has_a_last_timer_in_a_bounded_run(self) -> None:
        """And none in an unbounded one."""
        for bounded, expected in ((True, [(COUNTS, '{"n":2}'), (COUNTS, '{"n":1}')]), (False, [])):
            runtime = FakeRuntime(CustomerOperator(EchoCustomer, CustomerBinding(bounded)))
            runtime.watermark_ms = 0
            for key in "aba":
                runtime.element(key, b"")
            assert runtime.event_timers[10] == {"a", "b"}
            runtime.end()
            assert runtime.outputs == expected
            assert set(runtime.states["customer-chunks"].by_key["a"]) == {2}

    def test_progress_is_shown(self, tmp_path: Any) -> None:
        """While it runs in steps, at the end exactly."""
        runtime = FakeRuntime(CustomerOperator(EchoCustomer, CustomerBinding(True, progress_dir=tmp_path)))
        for _ in range(STEP + 1):
            runtime.element("a", b"")
        assert read_progress(tmp_path) == STEP
        runtime.operator.close()
        assert read_progress(tmp_path) == STEP + 1


class TestItemSide:
    def test_rows_and_totals(self) -> None:
        """Rows are the main output, totals and writes side outputs; the end comes once for each item."""
        runtime = FakeRuntime(ItemOperator(SumItem, bounded=True))
        for payload in (b"1", b"2", b"3"):
            runtime.element("viewed-with|i", payload)
        assert runtime.outputs == [Row("viewed-with|i", b"12"), (TOTALS, Row("viewed-with|i", b"viewed-with|i"))]
        runtime.end()
        assert runtime.outputs[2:] == [(REDIS, Row("0", b"123"))]

    def test_publishing_sees_the_last_total(self) -> None:
        """A total that arrives after the row counts at the end."""
        runtime = FakeRuntime(PublishOperator(LastPublish, bounded=True))
        runtime.broadcast_element("i", b"1")
        runtime.element("i", b"row")
        runtime.broadcast_element("i", b"2")
        runtime.end()
        assert runtime.outputs == [Row("0", b"row2")]
        assert runtime.broadcast.by_key == {"all": b"2"}


class TestPublications:
    """Every key writes as of a moment: those that come before it are woken at it (the others, Flink lists)."""

    def test_items(self) -> None:
        """An announcement goes on once, whichever keys it comes under; later it says nothing."""
        runtime = FakeRuntime(ItemOperator(SumItem, bounded=False))
        told = Announcement(100).packed()
        for key in ("3", "17"):
            runtime.element(key, told)
        assert runtime.outputs == [(TOTALS, Row("3", told))]
        runtime.element("viewed-with|i", b"1")
        runtime.advance(99)
        assert len(runtime.outputs) == 1
        runtime.advance(100)
        assert runtime.outputs[1:] == [Row("viewed-with|i", b"as of now")]
        runtime.element("viewed-with|j", b"1")
        runtime.element("3", told)
        runtime.advance(200)
        assert len(runtime.outputs) == 2

    def test_lists(self) -> None:
        """As a write and as a record."""
        runtime = FakeRuntime(PublishOperator(LastPublish, bounded=False))
        runtime.broadcast_element("3", Announcement(100).packed())
        runtime.element("viewed-with|i", b"row")
        runtime.advance(100)
        assert runtime.outputs == [Row("0", b"as of 100"), (SIMILAR_RECORDS, Row("viewed-with|i", b"{}"))]
        assert runtime.broadcast.by_key == {}

    def test_control_waits_for_the_time(self) -> None:
        """What is asked for as of now, before anybody knows when that is."""
        runtime = FakeRuntime(ControlOperator(partial(ControlLogic, Settings())))
        runtime.element("control", b'control:0:1\x1f{"control_id": "a", "kind": "publish"}')
        assert runtime.outputs == []
        runtime.advance(1_000)
        assert runtime.outputs == [Row("control", b'{"control_id":"a","kind":"publish","as_of_ms":1001}')]

    def test_it_is_said_that_all_is_written(self) -> None:
        """Once a watermark is there that all writers have let through, and once for each that was asked for."""
        runtime = FakeRuntime(PublishedOperator(RedisTarget("redis://127.0.0.1:1")))
        connection = FakeConnection()
        runtime.operator._connection = connection
        for name, as_of_ms in (("a", 1_100), ("b", 3_000)):
            runtime.element("control", encode_control(Control(name, "publish", as_of_ms=as_of_ms)))
        runtime.element("control", encode_control(Control("c", "settings", settings={})))
        runtime.advance(1_999)
        assert connection.batches == []
        runtime.advance(2_500)
        assert connection.batches == [[published_write("a", 1_100)]]
        runtime.advance(3_000)
        assert connection.batches[1:] == [[published_write("b", 3_000)]]
        assert list(runtime.states["published"].by_key) == []


class TestQuietClock:
    RULES = '[segments.a]\ndescription = "For tests."\nwhen = "views_7d >= 1"\n'

    def told(self, runtime: FakeRuntime) -> list[tuple[int, str]]:
        """(as of, version of the rules) of each write."""
        found = []
        for one in runtime.outputs:
            if isinstance(one, tuple) and one[0] is REDIS:
                _, as_of_ms, fields = msgpack.unpackb(one[1][1])
                found.append((as_of_ms, dict(zip(fields[::2], fields[1::2], strict=True))["rule_version"]))
        return found

    def test_other_rules_are_told_although_time_stands_still(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the next pulse; and an operator that goes on from this state knows of them."""
        now_ms = 1_800_000_000_000
        monkeypatch.setattr("operators.quiet_clock._wall_clock_ms", lambda: now_ms)
        operator = partial(QuietClockOperator, 60_000, Settings(), "submitted", {})
        runtime = FakeRuntime(operator())
        begun_ms = runtime.watermark_ms = now_ms
        now_ms += WAKING_MS
        runtime.element("", b"")
        runtime.element("", b"")
        record = {"control_id": "a", "kind": "rules", "rules": self.RULES}
        runtime.element("", b"control:0:1\x1f" + json.dumps(record).encode())
        runtime.element("", b"")
        version = parse_rules(self.RULES, "rules").version
        assert self.told(runtime) == [(begun_ms, "submitted"), (begun_ms, version)]

        again = FakeRuntime(operator())
        again.states, again.watermark_ms = runtime.states, begun_ms
        for state in again.states.values():
            state._runtime = again
        again.operator.open(again)
        now_ms += WAKING_MS
        again.element("", b"")
        assert [one[1] for one in self.told(again)] == [version]

    def test_time_goes_on_with_every_watermark(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Between pulses, too, and also before the first one after a restart; the end of a drained job is no time."""
        now_ms = 1_800_000_000_000
        monkeypatch.setattr("operators.quiet_clock._wall_clock_ms", lambda: now_ms)
        operator = partial(QuietClockOperator, 60_000, Settings(), "submitted", {})
        runtime = FakeRuntime(operator())
        begun_ms = runtime.watermark_ms = now_ms
        now_ms += WAKING_MS
        runtime.element("", b"")
        for ahead_ms in (50, 100, 150):
            runtime.advance(begun_ms + ahead_ms)
        ticks = [one for one in runtime.outputs if isinstance(one, Row)]
        assert ticks == [Row("", begun_ms + ahead_ms) for ahead_ms in (0, 50, 100, 150)]

        runtime.operator = operator()
        runtime.operator.open(runtime)
        now_ms += WAKING_MS
        runtime.advance(begun_ms + 200)
        assert runtime.outputs[-1] == Row("", begun_ms + 200)
        runtime.end()
        assert runtime.outputs[-1] == Row("", begun_ms + 200)


class FakeConnection:
    """Keeps what is sent; fails when told to."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.failing = self.answers = False
        self.asked: list[bytes] = []

    def send(self, writes: list[bytes]) -> tuple[int, int]:
        if self.failing:
            raise RuntimeError("down")
        self.batches.append(list(writes))
        return len(writes), 0

    def ask(self, writes: list[bytes]) -> None:
        self.asked = writes

    def has_answered(self) -> bool:
        return self.answers

    def answer(self) -> tuple[int, int]:
        return self.send(self.asked)


def writer(batching: RedisBatching, *, bounded: bool = True) -> tuple[FakeRuntime, FakeConnection]:
    runtime = FakeRuntime(RedisWriter(RedisTarget("redis://127.0.0.1:1"), batching, bounded=bounded))
    connection = FakeConnection()
    runtime.operator._connection = connection
    return runtime, connection


def restart(runtime: FakeRuntime) -> None:
    """The operator anew, with the state that it had."""
    runtime.operator.begin()


class TestRedisWriter:
    def test_a_full_batch_leaves_at_once(self) -> None:
        """By number of writes, and by bytes."""
        runtime, connection = writer(RedisBatching(most_writes=3, most_bytes=10))
        for payload in (b"1", b"2", b"3", b"4", b"x" * 9):
            runtime.element("0", payload)
        assert connection.batches == [[b"1", b"2", b"3"], [b"4", b"x" * 9]]
        assert not runtime.states["pending-writes"].by_key

    def test_waits_for_others_but_not_long(self) -> None:
        """A lonely write leaves with the processing-time timer; all shards that wait go together."""
        runtime, connection = writer(RedisBatching(wait_ms=50))
        runtime.element("0", b"1")
        runtime.element("1", b"2")
        assert connection.batches == []
        runtime.wait(50)
        assert connection.batches == [[b"1", b"2"]]
        assert not runtime.states["pending-writes"].by_key
        runtime.wait(500)
        assert len(connection.batches) == 1

    def test_what_left_with_another_shard_is_not_kept(self) -> None:
        """Neither until the timer nor beyond: it goes with the next write, which has the timer that is there."""
        runtime, connection = writer(RedisBatching(most_writes=2, wait_ms=50))
        for shard, payload in (("0", b"1"), ("1", b"2"), ("0", b"3")):
            runtime.element(shard, payload)
        assert connection.batches == [[b"1", b"2"]]
        assert runtime.states["pending-writes"].by_key == {"0": [b"3"]}
        runtime.wait(50)
        assert connection.batches == [[b"1", b"2"], [b"3"]]
        assert not runtime.states["pending-writes"].by_key

    def test_the_end_takes_the_rest(self) -> None:
        """Processing-time timers do not fire after the end of the input."""
        runtime, connection = writer(RedisBatching())
        runtime.element("0", b"1")
        runtime.end()
        assert connection.batches == [[b"1"]]

    def test_a_watermark_waits_for_the_writes_before_it(self) -> None:
        """In a job without an end: whoever sees one of a whole second behind the writer knows what is in Redis."""
        runtime, connection = writer(RedisBatching(), bounded=False)
        runtime.advance(1_100)
        runtime.element("0", b"1")
        runtime.element("1", b"2")
        runtime.advance(1_999)
        assert connection.batches == []
        runtime.advance(2_000)
        assert connection.batches == [[b"1", b"2"]]
        runtime.wait(500)
        assert len(connection.batches) == 1

    def test_a_failure_keeps_the_state(self) -> None:
        """What Redis did not answer for is sent again after a restart, with what is new, and counts as pending."""
        runtime, connection = writer(RedisBatching(most_writes=3))
        runtime.element("0", b"1")
        runtime.element("0", b"2")
        connection.failing = True
        with pytest.raises(RuntimeError):
            runtime.element("0", b"3")
        connection.failing = False
        restart(runtime)
        runtime.element("0", b"4")
        assert connection.batches == [[b"1", b"2", b"3", b"4"]]

    def test_redis_works_while_others_are_collected(self) -> None:
        """Nobody waits for it; what it has not answered for is in the state, and nothing else."""
        runtime, connection = writer(RedisBatching(most_writes=2, wait_ms=50, few_writes=0))
        state = runtime.states["pending-writes"].by_key
        for payload in (b"1", b"2", b"3"):
            runtime.element("0", payload)
        assert (connection.asked, connection.batches) == ([b"1", b"2"], [])
        assert state == {"0": [b"1", b"2", b"3"]}
        runtime.element("0", b"4")
        assert (connection.asked, connection.batches) == ([b"3", b"4"], [[b"1", b"2"]])
        assert state == {"0": [b"3", b"4"]}
        runtime.wait(50)
        assert connection.batches == [[b"1", b"2"], [b"3", b"4"]]
        assert not state

    def test_a_watermark_waits_for_the_answer_to_what_is_under_way(self) -> None:
        runtime, connection = writer(RedisBatching(most_writes=2, few_writes=0), bounded=False)
        runtime.advance(1_100)
        for payload in (b"1", b"2", b"3"):
            runtime.element("0", payload)
        runtime.advance(1_999)
        assert connection.batches == []
        runtime.advance(2_003)
        assert connection.batches == [[b"1", b"2"], [b"3"]]
        assert not runtime.states["pending-writes"].by_key

    def test_an_answer_that_is_there_is_taken(self) -> None:
        """So the state is no larger, and the time that Redis took no longer, than they need be."""
        runtime, connection = writer(RedisBatching(most_writes=2 * LOOKED_AFTER, few_writes=0))
        for number in range(3 * LOOKED_AFTER - 1):
            runtime.element("0", b"%d" % number)
        assert connection.batches == []
        connection.answers = True
        runtime.element("0", b"one more")
        assert len(connection.batches) == 1

    def test_what_was_under_way_at_a_failure_is_sent_again(self) -> None:
        runtime, connection = writer(RedisBatching(most_writes=2, few_writes=0))
        for payload in (b"1", b"2", b"3"):
            runtime.element("0", payload)
        connection.failing = True
        with pytest.raises(RuntimeError):
            runtime.element("0", b"4")
        connection.failing = False
        restart(runtime)
        runtime.wait(50)
        runtime.end()
        assert [payload for batch in connection.batches for payload in batch] == [b"1", b"2", b"3", b"4"]

    @pytest.mark.parametrize("few", [0, 2, 32])
    @pytest.mark.parametrize("seed", range(20))
    def test_no_write_is_lost_or_overtakes_another(self, seed: int, few: int) -> None:
        """With restarts at any time: those of a shard arrive in order, some of them again."""
        random = Random(seed)
        batching = RedisBatching(most_writes=5, wait_ms=50, few_writes=few)
        runtime, connection = writer(batching, bounded=bool(seed % 2))
        sent: dict[str, list[bytes]] = {}
        for number in range(200):
            shard = str(random.randrange(4))
            payload = b"%s:%d" % (shard.encode(), number)
            runtime.element(shard, payload)
            sent.setdefault(shard, []).append(payload)
            connection.answers = random.random() < 0.5
            if random.random() < 0.1:
                runtime.wait(50)
            if random.random() < 0.05:
                restart(runtime)
            if random.random() < 0.1:
                runtime.advance(max(runtime.watermark_ms, 0) // 1_000 * 1_000 + 1_000)
                assert runtime.operator._bounded or not runtime.operator._asked
        runtime.wait(100)
        runtime.end()
        assert not runtime.states["pending-writes"].by_key
        arrived = [payload for batch in connection.batches for payload in batch]
        for shard, expected in sent.items():
            last = {payload: at for at, payload in enumerate(arrived) if payload.startswith(shard.encode())}
            assert sorted(last, key=last.__getitem__) == expected


@pytest.mark.parametrize("subtasks", [1, 2, 3, 7, 100, 128])
def test_own_keys(subtasks: int) -> None:
    """Each leads to where it comes from: Flink's `computeOperatorIndexForKeyGroup`."""
    groups = [str(group) for group in range(MAX_PARALLELISM)]
    for subtask in range(subtasks):
        context: Any = SimpleNamespace(
            get_index_of_this_subtask=lambda at=subtask: at, get_number_of_parallel_subtasks=lambda: subtasks
        )
        assert int(own_key(context, groups)) * subtasks // MAX_PARALLELISM == subtask
