"""Every feature of every customer, against two oracles that compute them in one batch."""

from collections import defaultdict
from functools import cache
from random import Random
from typing import Any

import pytest
from customer_runs import PATIENT, Finished, in_order, key_and_time, run, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.events import parse_events
from oracle.features import batch_features
from oracle.plain import features_at
from oracle.streams import odd_stream

from jobs.simulation import Simulation, SimulationSettings
from schemas.settings import DAY_MS, HOUR_MS, Settings

EVENTS = 2_500
DISTURBED = {"shuffle_ms": 5 * DAY_MS, "duplicates": 0.05, "malformed": 0.02, "refunds_first": True}
LOGS: dict[str, dict[str, Any]] = {"sorted": {}, "disturbed": DISTURBED}


@cache
def log(name: str) -> tuple[bytes, ...]:
    """The lines of a simulated log, by arrival."""
    made = SimulationSettings(events=EVENTS, customers=70, products=100, days=60, seed=5, **LOGS[name])
    return tuple(Simulation(made).lines())


def up_to(lines: tuple[bytes, ...], share: float) -> tuple[list[bytes], list[bytes], int]:
    """The lines up to a share of the log's time (those that are no events too), its events alone, and that time."""
    times = {line: known[1] for line in lines if (known := key_and_time(line))}
    first_ms, last_ms = min(times.values()), max(times.values())
    as_of_ms = first_ms + int((last_ms - first_ms) * share)
    fed = [line for line in lines if times.get(line, 0) <= as_of_ms]
    return fed, [line for line in fed if line in times], as_of_ms


def plain_features(lines: list[bytes], as_of_ms: int) -> dict[str, dict[str, Any]]:
    events = defaultdict(list)
    for event in parse_events(lines):
        events[event.subject].append(event)
    found = {subject: features_at(mine, as_of_ms) for subject, mine in events.items()}
    return {subject: present(features) for subject, features in found.items() if features}


def present(features: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in features.items() if value is not None}


def assert_same(found: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]]) -> None:
    assert set(found) == set(expected)
    for key, features in found.items():
        known = dict(features)
        score, expected_score = known.pop("engagement"), expected[key]["engagement"]
        assert score == pytest.approx(expected_score, rel=1e-9, abs=1e-300), key
        wanted = {name: value for name, value in expected[key].items() if name != "engagement"}
        assert known == wanted, key


def assert_counted(finished: Finished) -> None:
    """Read = applied + duplicate + rejected + too late + suppressed."""
    outcomes = ("applied", "duplicate", "late", "suppressed")
    total = sum(counts[outcome] for counts in finished.counts.values() for outcome in outcomes)
    assert total + finished.rejected == finished.read


class TestSimulatedLogs:
    """Within the default lateness of a week."""

    @pytest.mark.parametrize("share", [0.2, 0.55, 1.0])
    @pytest.mark.parametrize("name", LOGS)
    def test_as_of_any_time(self, name: str, share: float) -> None:
        """Both oracles, with all events in the order of the log."""
        fed, events, as_of_ms = up_to(log(name), share)
        finished = run(fed, as_of_ms, settings=Settings())
        assert finished.rejected == len(fed) - len(events)
        assert_counted(finished)
        found = finished.features()
        assert_same(found, {key: present(values) for key, values in batch_features(events, as_of_ms, "USD").items()})
        assert_same(found, plain_features(events, as_of_ms))

    @pytest.mark.parametrize("within_ms", [HOUR_MS, 6 * DAY_MS])
    def test_out_of_order(self, within_ms: int) -> None:
        """What arrives late is put in its place."""
        fed, events, as_of_ms = up_to(log("sorted"), 1.0)
        finished = run(shuffled(fed, within_ms, seed=3), as_of_ms, settings=Settings())
        assert_same(finished.features(), plain_features(events, as_of_ms))

    @pytest.mark.parametrize("name", LOGS)
    def test_packed_and_unpacked_at_every_event(self, name: str) -> None:
        """With one customer in the cache, each event finds its customer in the store."""
        fed, _, as_of_ms = up_to(log(name), 0.6)
        settings = Settings()
        cached, uncached = (
            run(fed, as_of_ms, settings=settings),
            run(fed, as_of_ms, settings=settings, cached_customers=1),
        )
        assert uncached.features() == cached.features()
        assert uncached.memberships() == cached.memberships()
        assert uncached.counts == cached.counts
        assert uncached.items() == cached.items()
        without_why = [{**record, "why": None} for record in cached.records()]
        assert [{**record, "why": None} for record in uncached.records()] == without_why

    def test_what_is_too_late_is_counted_and_left_out(self) -> None:
        """With a lateness of an hour, a log displaced by days: the features are those of what was applied."""
        fed, events, as_of_ms = up_to(log("disturbed"), 1.0)
        short = Settings(allowed_lateness_ms=HOUR_MS)
        finished = run(fed, as_of_ms, settings=short)
        assert_counted(finished)
        newest_ms, applied = -1, []
        for line in events:
            time_ms = key_and_time(line)[1]
            if time_ms >= newest_ms - 5_000 - HOUR_MS:
                applied.append(line)
            newest_ms = max(newest_ms, time_ms)
        assert 0 < len(applied) < len(events)
        late = sum(counts["late"] for counts in finished.counts.values())
        assert late == len(events) - len(applied)
        assert_same(finished.features(), plain_features(applied, as_of_ms))


class TestOddStreams:
    """Ties, reused orders, odd refunds, consents, erasures: in any order of arrival."""

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 40), st.sampled_from([1, 20_000]))
    def test_any_order(self, seed: int, size: int, cached: int) -> None:
        lines = odd_stream(Random(seed), size)
        times = sorted({key_and_time(line)[1] for line in lines})
        middle_ms, end_ms = times[len(times) // 2], times[-1] + 3 * DAY_MS
        for as_of_ms in (middle_ms, end_ms):
            fed = [line for line in lines if key_and_time(line)[1] <= as_of_ms]
            expected = plain_features(fed, as_of_ms)
            for arrived in (in_order(fed), fed, shuffled(fed, 3 * DAY_MS, seed)):
                finished = run(arrived, as_of_ms, settings=PATIENT, cached_customers=cached)
                assert_counted(finished)
                assert_same(finished.features(), expected)

    @pytest.mark.parametrize("seed", range(4))
    def test_against_sql(self, seed: int) -> None:
        lines = odd_stream(Random(seed), 150, subjects=3)
        as_of_ms = max(key_and_time(line)[1] for line in lines)
        expected = batch_features(lines, as_of_ms, "USD")
        assert_same(run(lines, as_of_ms).features(), {key: present(values) for key, values in expected.items()})
