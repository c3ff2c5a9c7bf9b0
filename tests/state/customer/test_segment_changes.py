"""Segment changes, corrections included, against a list made by looking at every moment at which anything can change.

After an erasure the records about the time before it are no longer corrected (what they were about is gone), so for a
customer who was erased only what comes after the erasure is compared; the memberships in the end always are.
"""

from collections import Counter, defaultdict
from random import Random
from typing import Any

import pytest
from customer_runs import Finished, in_order, key_and_time, run, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.changes import effective_changes, replay_into_map
from oracle.events import Event, parse_events
from oracle.memberships import Rule, as_records, true_changes
from oracle.plain import features_at
from oracle.streams import odd_stream
from rules_twice import BOTH

from jobs.simulation import Simulation, SimulationSettings
from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.rules.ruleset import RuleSet

FACTS = ("customer_id", "segment", "change", "at_ms", "since_ms")
CAUSES = {"event", "time", "late-event", "refund", "consent", "erasure"}
Row = tuple[Any, ...]


def by_subject(lines: list[bytes]) -> dict[str, list[Event]]:
    events = defaultdict(list)
    for event in parse_events(line for line in lines if key_and_time(line)):
        events[event.subject].append(event)
    return events


def erased_at(events: dict[str, list[Event]]) -> dict[str, int]:
    """When each customer was erased last; customers who never were are left out."""
    erasures = [(subject, event.time_ms) for subject, mine in events.items() for event in mine if event.type == "erase"]
    return {subject: max(at_ms for who, at_ms in erasures if who == subject) for subject, _ in erasures}


def rows(records: list[dict[str, Any]], erased: dict[str, int]) -> list[Row]:
    """What records say, sorted; of a customer who was erased, what is after it."""
    kept = [
        record
        for record in records
        if (record["at_ms"], record["change"] == "entered") >= (erased.get(record["customer_id"], -1), True)
    ]
    return sorted(tuple(record[name] for name in FACTS) for record in kept)


def naive(events: dict[str, list[Event]], rules: list[Rule], as_of_ms: int) -> list[dict[str, Any]]:
    changes = [(subject, true_changes(mine, rules, as_of_ms)) for subject, mine in events.items()]
    return [record for subject, found in changes for record in as_records(found, subject)]


def assert_well_formed(records: list[dict[str, Any]], rules: RuleSet, event_ids: set[str]) -> None:
    """Ids are unique, what is superseded was said before and only once, causes and features are known ones."""
    seen: dict[str, dict[str, Any]] = {}
    superseded: Counter[str] = Counter()
    for record in records:
        assert record["change_id"] not in seen
        seen[record["change_id"]] = record
        assert record["segment"] in rules.names
        assert record["since_ms"] <= record["at_ms"]
        assert record["rule_version"] == rules.version
        assert record["cause"]["kind"] in CAUSES
        assert (record["cause"]["event_id"] is None) == (record["cause"]["kind"] == "time")
        assert record["cause"]["event_id"] in {None, *event_ids}
        reads = {rules.reads[at] for at in rules.reads_of[rules.bit_of[record["segment"]]]}
        assert set(record["why"]) in (reads, set())
        assert all(len(values) == 2 for values in record["why"].values())
        if record["supersedes"]:
            older = seen[record["supersedes"]]
            assert (older["customer_id"], older["segment"]) == (record["customer_id"], record["segment"])
            superseded[record["supersedes"]] += 1
        else:
            assert record["why"]
    assert set(superseded.values()) <= {1}


def assert_right(finished: Finished, lines: list[bytes], which: str, as_of_ms: int, *, corrected: bool) -> None:
    """`corrected`: records about the time before an erasure may not be right any more."""
    rules, predicates = BOTH[which]
    events = by_subject(lines)
    erased = erased_at(events) if corrected else {}
    true, records = naive(events, predicates, as_of_ms), finished.records()
    assert_well_formed(records, rules, {event.event_id for mine in events.values() for event in mine})
    assert rows(effective_changes(records), erased) == rows(true, erased)
    assert replay_into_map(records) == replay_into_map(true)
    assert finished.memberships() == replay_into_map(true)


class TestSimulatedLogs:
    @pytest.mark.parametrize("which", BOTH)
    @pytest.mark.parametrize(
        ("disturbed", "within_ms"), [(False, 0), (False, 2 * HOUR_MS), (False, 6 * DAY_MS), (True, 0)]
    )
    def test_all_changes(self, which: str, disturbed: bool, within_ms: int) -> None:
        """Sorted, out of order, and disturbed in every way; the lateness is a week, so state is let go of meanwhile."""
        odd: dict[str, Any] = {"shuffle_ms": 5 * DAY_MS, "duplicates": 0.05, "malformed": 0.02, "refunds_first": True}
        made = SimulationSettings(events=330, customers=28, products=60, seed=8, **(odd if disturbed else {}))
        lines = list(Simulation(made).lines())
        as_of_ms = max(known[1] for line in lines if (known := key_and_time(line)))
        finished = run(shuffled(lines, within_ms, 4), as_of_ms, settings=Settings(), rules=BOTH[which][0])
        assert sum(counts["late"] for counts in finished.counts.values()) == 0
        assert_right(finished, lines, which, as_of_ms, corrected=disturbed or bool(within_ms))


class TestOddStreams:
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 30), st.sampled_from(sorted(BOTH)), st.sampled_from([1, 20_000]))
    def test_any_order(self, seed: int, size: int, which: str, cached: int) -> None:
        """Ties within a millisecond, erasures, consents, late refunds: whatever the order of arrival."""
        lines = odd_stream(Random(seed), size)
        as_of_ms = max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS
        for arrived, corrected in ((in_order(lines), False), (lines, True), (shuffled(lines, 3 * DAY_MS, seed), True)):
            finished = run(arrived, as_of_ms, rules=BOTH[which][0], cached_customers=cached)
            assert_right(finished, lines, which, as_of_ms, corrected=corrected)

    @pytest.mark.parametrize("seed", range(6))
    def test_why(self, seed: int) -> None:
        """Where one event, or time alone, made a change: the features after it are those of that millisecond."""
        lines = in_order(odd_stream(Random(seed), 40, subjects=1))
        as_of_ms = key_and_time(lines[-1])[1] + 12 * DAY_MS
        events = by_subject(lines)["c0"]
        events_at = Counter(event.time_ms for event in events)
        for record in run(lines, as_of_ms, rules=BOTH["test"][0]).records():
            if events_at[record["at_ms"]] > 1 or record["cause"]["kind"] in ("consent", "erasure"):
                continue
            features = features_at(events, record["at_ms"])
            for name, (_, after) in record["why"].items():
                assert after == pytest.approx(features[name]), name
