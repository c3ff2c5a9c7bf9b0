"""What operators show through the engine's metrics, on a stand-in for them."""

import time
from functools import partial
from typing import Any

import pytest
from fake_flink import FakeRuntime

from jobs.factories import make_control_logic
from operators.controlled import ControlOperator
from operators.customer import CustomerBinding, CustomerOperator
from operators.logic import Channel
from operators.metrics import (
    HISTORY_MS,
    AssignMetrics,
    CustomerMetrics,
    Distribution,
    Exporter,
    PopulationMetrics,
    WriterMetrics,
)
from operators.redis_connection import FIRST_PAUSE_S, RedisConnection, RedisTarget
from schemas.settings import Settings
from state.tally import AssignTally, CustomerTally, MergerTally


class FakeMetrics:
    """A metric group that knows counters alone: as one map of (labels and name) to value."""

    def __init__(self, path: tuple[str, ...] = (), values: dict[tuple[str, ...], int] | None = None) -> None:
        self._path, self.values = path, {} if values is None else values

    def get_metrics_group(self) -> "FakeMetrics":
        return self

    def add_group(self, *parts: str) -> "FakeMetrics":
        return FakeMetrics((*self._path, *parts), self.values)

    def counter(self, name: str) -> Any:
        path, values = (*self._path, name), self.values
        assert path not in values, "registered twice"
        values[path] = 0

        class Counter:
            def inc(self, by: int) -> None:
                values[path] += by

        return Counter()


class Record:
    """The context of a record of a certain age."""

    def __init__(self, age_ms: int) -> None:
        self._at_ms = int(time.time() * 1_000) - age_ms

    def timestamp(self) -> int:
        return self._at_ms


class TestDistribution:
    def test_bounds_belong_to_what_they_bound(self) -> None:
        """Each bucket holds what is at most its bound, those below it included; the last one holds everything."""
        sizes = Distribution("size", (1, 10))
        for value in (0, 1, 2, 10, 11):
            sizes.add(value)
        sizes.add(5, times=2)
        assert dict(sizes.totals()) == {
            ("le", "1", "size_bucket"): 2,
            ("le", "10", "size_bucket"): 6,
            ("le", "+Inf", "size_bucket"): 7,
            ("size_sum",): 34,
            ("size_count",): 7,
        }


class TestExporter:
    def test_counters_follow_totals(self) -> None:
        """Each is registered once, from nought on, and grows by what is new."""
        metrics = FakeMetrics()
        exporter = Exporter(metrics)
        exporter.show([(("reason", "no_subject", "rejected"), 0)])
        assert metrics.values == {("segmill", "reason", "no_subject", "rejected"): 0}
        exporter.show([(("reason", "no_subject", "rejected"), 3), (("writes",), 1)])
        exporter.show([(("reason", "no_subject", "rejected"), 5), (("writes",), 1)])
        assert metrics.values == {("segmill", "reason", "no_subject", "rejected"): 5, ("segmill", "writes"): 1}

    def test_without_an_engine_nothing_happens(self) -> None:
        """Metrics may be switched off."""
        Exporter(object()).show([(("writes",), 1)])


class TestCustomerMetrics:
    def test_time_from_event_to_change(self) -> None:
        """Counted once for each change that the record caused; records of an hour ago and more are history."""
        metrics, tally = FakeMetrics(), CustomerTally(["a"])
        customer = CustomerMetrics(metrics, tally)
        customer.processed(Record(5))  # said nothing
        tally.at_once += 2
        customer.processed(Record(1_500))
        tally.at_once += 1
        customer.processed(Record(HISTORY_MS + 1_000))
        tally.at_once += 1
        customer.processed(Record(-60_000))  # a producer whose clock is ahead
        customer.show()
        bucket = {path[2]: value for path, value in metrics.values.items() if path[-1] == "event_to_change_ms_bucket"}
        assert (bucket["1"], bucket["1000"], bucket["2000"], bucket["+Inf"]) == (1, 1, 3, 3)
        assert metrics.values[("segmill", "changes_of_history")] == 1

    def test_every_outcome_is_there_from_the_start(self) -> None:
        """A counter that appears with its first event hides that event from whoever asks for a rise."""
        metrics = FakeMetrics()
        CustomerMetrics(metrics, CustomerTally(["vip"]))
        outcomes = {path[2] for path in metrics.values if path[-1] == "events"}
        assert outcomes == {"applied", "duplicate", "rejected", "late", "suppressed"}
        assert ("segmill", "segment", "vip", "change", "left", "changes") in metrics.values
        assert ("segmill", "reason", "malformed_json", "rejected") in metrics.values

    def test_it_costs_little(self) -> None:
        """Below a microsecond a record that says nothing (the bound here is wide, machines are noisy)."""
        customer, record = CustomerMetrics(FakeMetrics(), CustomerTally()), Record(0)
        times = 50_000
        begin = time.perf_counter()
        for _ in range(times):
            customer.processed(record)
        assert (time.perf_counter() - begin) / times < 5e-6


class TestControlMetrics:
    def test_refusals_are_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At once, and from nought on; what is accepted, or comes a second time, is none."""
        metrics = FakeMetrics()
        monkeypatch.setattr(FakeRuntime, "get_metrics_group", lambda self: metrics, raising=False)
        runtime = FakeRuntime(ControlOperator(partial(make_control_logic, Settings())))
        refusals = ("segmill", "reason", "invalid_control", "rejected")
        assert metrics.values == {refusals: 0}
        accepted = b'control:0:1\x1f{"control_id":"a","kind":"settings","settings":{"max_future_ms":1}}'
        for payload in (b"control:0:0\x1f{}", accepted, accepted, b"control:0:3\x1enull_value\x1eno value\x1f"):
            runtime.element("", payload)
        assert metrics.values == {refusals: 2}


class TestPopulationMetrics:
    def test_intervals_and_events(self) -> None:
        """Every kind of event is there from the start; those of an interval are shown with it."""
        metrics, tally = FakeMetrics(), MergerTally()
        population = PopulationMetrics(metrics, tally)
        kinds = {path[2]: value for path, value in metrics.values.items() if path[-1] == "population_events"}
        assert kinds == dict.fromkeys(("view", "drift", "born", "died", "split", "merged"), 0)
        tally.intervals += 1
        tally.happened("view")
        population.show()
        assert metrics.values[("segmill", "population_intervals")] == 1
        assert metrics.values[("segmill", "kind", "view", "population_events")] == 1

    def test_what_is_assigned(self) -> None:
        """Changes by segment and way, from nought on, and views."""
        metrics, tally = FakeMetrics(), AssignTally(["vip"])
        assign = AssignMetrics(metrics, tally)
        assert metrics.values[("segmill", "segment", "vip", "change", "left", "changes")] == 0
        tally.turned("vip", entered=True)
        tally.views += 1
        assign.show()
        assert metrics.values[("segmill", "segment", "vip", "change", "entered", "changes")] == 1
        assert (
            metrics.values[
                (
                    "segmill",
                    "population_views",
                )
            ]
            == 1
        )


class CountingCustomer:
    """Counts in its tally; says nothing."""

    def __init__(self) -> None:
        self.tally = CustomerTally()

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: Any) -> Any:
        self.tally.applied += 1
        return watermark_ms + 1, [(Channel.REJECTED, key, payload)]

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: Any) -> Any:
        self.tally.late += 1
        return None, ()


class TestOperators:
    def test_the_last_counts_are_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a pause the next record or timer shows all; the end of the operator does too."""
        metrics = FakeMetrics()
        monkeypatch.setattr(FakeRuntime, "get_metrics_group", lambda self: metrics, raising=False)
        operator = CustomerOperator(CountingCustomer, CustomerBinding(bounded=False))
        runtime = FakeRuntime(operator)
        for _ in range(10):
            runtime.element("c", b"{}")
        time.sleep(0.25)
        runtime.advance(0)
        assert metrics.values[("segmill", "outcome", "applied", "events")] == 10
        runtime.element("c", b"{}")
        operator.close()
        assert metrics.values[("segmill", "outcome", "applied", "events")] == 11
        assert metrics.values[("segmill", "outcome", "late", "events")] == 1

    def test_a_redis_that_is_away(self) -> None:
        """Every pause is shown at once; the time of a batch is that from its first try to its answer."""
        metrics = FakeMetrics()
        writer = WriterMetrics(metrics)
        connection = RedisConnection(
            RedisTarget("redis://127.0.0.1:1", patience_s=3 * FIRST_PAUSE_S), on_wait=writer.waiting
        )
        with pytest.raises(RuntimeError, match="was not usable"):
            connection.send([b"x"])
        assert metrics.values[("segmill", "redis_waits")] >= 1
        writer.sent(3, 1, time.monotonic() - 0.04)
        assert metrics.values[("segmill", "result", "applied", "redis_writes")] == 3
        assert metrics.values[("segmill", "result", "older", "redis_writes")] == 1
        assert metrics.values[("segmill", "le", "100", "batch_ms_bucket")] == 1
        assert metrics.values[("segmill", "le", "30", "batch_ms_bucket")] == 0
        assert metrics.values[("segmill", "batch_writes_sum")] == 4
