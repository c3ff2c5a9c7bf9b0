"""Other rules on a running job, against the oracle that looks at every moment at which anything can change."""

from random import Random
from typing import Any

import pytest
from customer_runs import NOW_MS, PATIENT, SIMILAR, Finished, in_order, in_time, key_and_time, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_streams import SPICES, nasty_stream
from oracle.changes import effective_changes, replay_into_map
from oracle.memberships import as_records, true_changes
from oracle.streams import odd_stream
from ruled_runs import Publication, Ruled, control, last_view, random_publications, run_ruled
from rules_twice import ALL
from test_nasty_streams import said
from test_segment_changes import by_subject, erased_at, rows

from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.channels import Channel
from state.customer.logic import CustomerLogic
from state.local import LocalRun


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
        assert record["rule_version"] in {
            ALL[which][0].version for _, which in ruled.took_up[record["customer_id"]][1:]
        }
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

    @pytest.mark.parametrize("seed", [0, 2, 4, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 3, 5))])
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


class TestWithoutVisits:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("spice", SPICES)
    def test_who_is_not_woken_takes_them_up_for_the_same_moment(self, spice: str, seed: int) -> None:
        """At the next event or timer: later told, but at the same time in the record."""
        random = Random(800 + seed)
        lines = in_order(nasty_stream(random, 30, SPICES[spice]))
        until_ms = max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS
        publications = random_publications(random, lines)
        ruled = run_ruled(lines, until_ms, publications, visits=False)
        last = [last_view(key, until_ms + 1) for key in ruled.took_up]
        assert_right(ruled, [*lines, *last], until_ms + 1)


class TestPackedAtEveryStep:
    @pytest.mark.parametrize("spice", SPICES)
    def test_it_equals_not_having_been_packed(self, spice: str) -> None:
        """Everything said is the same, but for the values before a change, which are read anew after unpacking."""
        for seed in range(2):
            random = Random(900 + seed)
            lines = nasty_stream(random, 90, SPICES[spice], subjects=4)
            lines = shuffled(lines, (0, 2 * DAY_MS)[seed % 2], seed)
            until_ms = max(key_and_time(line)[1] for line in lines) + DAY_MS
            publications = random_publications(random, lines)
            patience = Settings(
                allowed_lateness_ms=DAY_MS, max_future_ms=PATIENT.allowed_lateness_ms
            )  # keeps the rules' texts
            kept, at_once, at_times = (
                run_ruled(lines, until_ms, publications, settings=patience, cached_customers=cached).finished
                for cached in (20_000, 1, 2)  # with room for two, some are read with facts behind an older pack
            )
            for packed in (at_once, at_times):
                assert unlabelled(said(kept)) == unlabelled(said(packed))
                assert kept.memberships() == packed.memberships()


def unlabelled(outputs: list[Any]) -> list[Any]:
    """Without what names the rules: of several versions in one millisecond, who was unpacked may name a later one."""
    labels = ("change_id", "rule_version", "supersedes")
    return [
        (one[0], {name: value for name, value in one[1].items() if name not in labels}) if len(one) == 2 else one
        for one in outputs
    ]


class TestRulesThatNobodyKnows:
    """A job without a control stream, started with another file from a savepoint: the old rules are gone."""

    def test_memberships_are_worked_out_anew(self) -> None:
        """At the customer's clock, by the rules that there are; what these do not have is left."""
        lines = in_order(odd_stream(Random(3), 40, subjects=1))
        middle_ms, until_ms = key_and_time(lines[20])[1], key_and_time(lines[-1])[1] + 12 * DAY_MS
        before = run_ruled(lines[:20], middle_ms - 1, []).finished
        logic = CustomerLogic(PATIENT, ALL["default"][0], SIMILAR, cached_customers=1, now_ms=lambda: NOW_MS)
        local = LocalRun(logic, 5_000)
        local.stores, local.watermark_ms = before.local.stores, before.local.watermark_ms
        outputs = list(before.outputs)
        for line in lines[20:]:
            key, time_ms = key_and_time(line)
            outputs += local.feed(key, time_ms, b"file:1\x1f" + line)
        outputs += local.feed("", until_ms + 5_000, b"nobody\x1f{}")
        after = Finished(logic, local, outputs, 0, until_ms=until_ms)
        kinds = {record["cause"]["kind"] for record in after.records()}
        assert "rules" in kinds
        assert {name for _, name in after.memberships()} <= set(ALL["default"][0].names)
        assert replay_into_map(after.records()) == after.memberships()


class TestReaders:
    def test_a_segment_that_is_no_more_loses_its_members_in_redis(self) -> None:
        """The write that tells of it names the segment among those that the customer is not in."""
        lines = [last_view("c", 1_740_787_200_000)]
        ruled = run_ruled(lines, 1_740_787_200_000 + HOUR_MS, [Publication(1, "default")])
        assert any(record["segment"] == "cool" and record["change"] == "left" for record in ruled.finished.records())
        writes = [
            payload for channel, key, payload in ruled.finished.outputs if channel == Channel.REDIS and key == "c"
        ]
        assert any(b"cool" in write and b"low-engagement" in write for write in writes)
        assert ruled.finished.memberships() == {}

    def test_versions_move_on_although_no_time_has_passed(self) -> None:
        """Or Redis would take the write of the new memberships for the old one."""
        lines = [last_view("c", 1_740_787_200_000)]
        ruled = run_ruled(lines, 1_740_787_200_000, [])
        customer = ruled.finished.customer("c")
        before = customer.revision
        ruled.finished.local.control(control("1", "other"))
        assert customer.renew()
        assert customer.revision > before


class TestWhoIsNotKnown:
    def test_nobody_waits_for_rules_with_nothing_known(self) -> None:
        """Only an event that was too late: the state counts it, and there is nothing to work out anew, ever."""
        late, newest = last_view("late", 1_740_787_200_000), last_view("c", 1_740_787_200_000 + DAY_MS)
        patience = Settings(allowed_lateness_ms=0)
        publications = [Publication(3, "default"), Publication(3, "other", 1_740_787_200_000 + 2 * DAY_MS)]
        lines = [newest, last_view("c", 1_740_787_200_000 + DAY_MS + 1, "more"), late]
        until_ms = 1_740_787_200_000 + 9 * DAY_MS
        ruled = run_ruled(lines, until_ms, publications, settings=patience, out_of_orderness_ms=0)
        assert ruled.finished.customer("late").late == 1
        assert {record["customer_id"] for record in ruled.finished.records()} == {"c"}
