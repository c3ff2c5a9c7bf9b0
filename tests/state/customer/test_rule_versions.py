"""Other rules on a running job, against the oracle that looks at every moment at which anything can change."""

from random import Random
from typing import Any

import pytest
from customer_runs import PATIENT, in_order, in_time, key_and_time, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_streams import SPICES, nasty_stream
from oracle.changes import effective_changes, replay_into_map
from oracle.memberships import as_records, true_changes
from oracle.streams import odd_stream
from ruled_runs import Ruled, random_publications, run_ruled
from rules_twice import ALL
from test_segment_changes import by_subject, erased_at, rows

from schemas.settings import DAY_MS, HOUR_MS, Settings


def assert_right(ruled: Ruled, lines: list[bytes], until_ms: int, *, first: str = "test") -> None:
    events = by_subject(lines)
    erased = erased_at(events)
    records = ruled.finished.records()
    true = [
        record
        for key, mine in events.items()
        for record in as_records(true_changes(mine, ALL[first][1], until_ms, ruled.later(key)), key)
    ]
    assert rows(effective_changes(records), erased) == rows(true, erased)
    assert replay_into_map(records) == replay_into_map(true)
    memberships = {key: since_ms for key, since_ms in ruled.finished.memberships().items() if key[0] in events}
    assert memberships == replay_into_map(true)
    for record in records:
        assert_labelled(ruled, record)
    assert len({record["change_id"] for record in records}) == len(records)
    superseded = [record["supersedes"] for record in records if record["supersedes"]]
    assert len(set(superseded)) == len(superseded)


def assert_labelled(ruled: Ruled, record: dict[str, Any]) -> None:
    """A change by rules is made when they are taken up, and says which; others say what is in force."""
    moments = [from_ms for from_ms, _ in ruled.took_up[record["customer_id"]][1:]]
    if record["cause"]["kind"] == "rules":
        assert record["cause"]["event_id"] is None
        assert record["at_ms"] in moments or record["supersedes"]
    if record["at_ms"] not in moments and not record["supersedes"]:
        version = ALL[ruled.which_at(record["customer_id"], record["at_ms"])][0].version
        assert record["rule_version"] == version, record


class TestAgainstTheOracle:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        st.integers(0, 1 << 32), st.integers(1, 30), st.sampled_from(sorted(ALL)), st.sampled_from([1, 20_000]),
        st.sampled_from(["in order", "any", "late"]),
    )  # fmt: skip
    def test_any_rules_at_any_time(self, seed: int, size: int, first: str, cached: int, order: str) -> None:
        """Ties, erasures, consents, late events before and after: as if it had been known all along."""
        random = Random(seed)
        lines = odd_stream(random, size)
        until_ms = max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS
        arrived = {"in order": in_order(lines), "any": lines, "late": shuffled(lines, 3 * DAY_MS, seed)}[order]
        publications = random_publications(random, arrived)
        ruled = run_ruled(arrived, until_ms, publications, first=first, cached_customers=cached)
        assert_right(ruled, lines, until_ms, first=first)

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("spice", SPICES)
    def test_streams_that_take_one_thing_too_far(self, spice: str, seed: int) -> None:
        random = Random(500 + seed)
        lines = nasty_stream(random, 30, SPICES[spice])
        until_ms = max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS
        arrived = (in_order(lines), lines, shuffled(lines, 3 * DAY_MS, seed), in_order(lines))[seed]
        publications = random_publications(random, arrived)
        ruled = run_ruled(arrived, until_ms, publications, cached_customers=(1, 20_000)[seed % 2])
        assert_right(ruled, lines, until_ms)

    @pytest.mark.parametrize("seed", range(6))
    @pytest.mark.parametrize("spice", SPICES)
    def test_with_little_patience(self, spice: str, seed: int) -> None:
        """State, snapshots and old rules are let go of on the way, and nothing that is in time misses them."""
        random = Random(700 + seed)
        lateness_ms, within_ms = [(0, HOUR_MS), (HOUR_MS, DAY_MS), (3 * DAY_MS, 20 * DAY_MS)][seed % 3]
        arrived = shuffled(nasty_stream(random, 60, SPICES[spice]), within_ms, seed)
        applied = in_time(arrived, lateness_ms)
        until_ms = max(key_and_time(line)[1] for line in arrived) + 12 * DAY_MS
        patience = Settings(
            allowed_lateness_ms=lateness_ms, order_memory_ms=PATIENT.allowed_lateness_ms, max_future_ms=DAY_MS
        )
        publications = random_publications(random, arrived)
        cached = (1, 20_000)[seed // 3]
        ruled = run_ruled(arrived, until_ms, publications, settings=patience, cached_customers=cached)
        assert_right(ruled, applied, until_ms)
