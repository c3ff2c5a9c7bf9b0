"""Streams that take one thing too far, in every mode, against the oracles: features, changes, memberships, items."""

import json
from random import Random
from typing import Any

import pytest
from customer_runs import PATIENT, Finished, in_order, in_time, key_and_time, run, run_live, shuffled
from item_sums import SIMILAR, expected_items, without_own_support
from nasty_streams import SPICES, START_MS, nasty_stream
from rules_twice import BOTH
from test_against_batch import assert_counted, assert_same, plain_features
from test_segment_changes import assert_right

from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.channels import Channel

SEEDS = range(3)


def assert_all(finished: Finished, applied: list[bytes], which: str, as_of_ms: int, *, corrected: bool) -> None:
    assert_right(finished, applied, which, as_of_ms, corrected=corrected)
    assert without_own_support(finished.items()) == expected_items(applied, as_of_ms)
    expected = plain_features(applied, as_of_ms)
    found = finished.features()
    for features in (*found.values(), *expected.values()):
        features.pop("top_categories", None)
    assert_same(found, expected)


def arrivals(lines: list[bytes], seed: int) -> dict[str, list[bytes]]:
    return {"in order": in_order(lines), "at random": lines, "late": shuffled(lines, 3 * DAY_MS, seed)}


class TestEveryMode:
    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("spice", SPICES)
    def test_bounded(self, spice: str, seed: int) -> None:
        """All of it is right as of the end, however it arrived; each customer's books are closed once."""
        lines = nasty_stream(Random(seed), 30, SPICES[spice])
        which, cached = ("test", "default")[seed % 2], (1, 20_000)[seed % 2]
        as_of_ms = max(key_and_time(line)[1] for line in lines) + (seed % 2) * 12 * DAY_MS
        for name, arrived in arrivals(lines, seed).items():
            finished = run(
                arrived, as_of_ms, rules=BOTH[which][0], cached_customers=cached, similar=SIMILAR,
                out_of_orderness_ms=(0, 5_000)[seed % 2],
            )  # fmt: skip
            assert_all(finished, lines, which, as_of_ms, corrected=name != "in order")
            assert_counted(finished)
            closed = [key for channel, key, _ in finished.outputs if channel == Channel.COUNTS]
            assert len(closed) == len(set(closed))

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("spice", SPICES)
    def test_live(self, spice: str, seed: int) -> None:
        """The same from a job without an end: timers alone have told all that time changed."""
        lines = nasty_stream(Random(100 + seed), 30, SPICES[spice])
        which, cached = ("test", "default")[seed % 2], (20_000, 1)[seed % 2]
        until_ms = max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS
        name, arrived = [*arrivals(lines, seed).items()][seed % 3]
        finished = run_live(arrived, until_ms, rules=BOTH[which][0], cached_customers=cached, similar=SIMILAR)
        assert_all(finished, lines, which, until_ms, corrected=name != "in order")

    @pytest.mark.parametrize("mode", [run, run_live])
    @pytest.mark.parametrize("spice", SPICES)
    def test_what_is_too_late_is_as_if_it_never_came(self, spice: str, mode: Any) -> None:
        """With little patience state is let go of on the way; what was applied is all that counts."""
        for seed, lateness_ms, within_ms in ((1, 0, HOUR_MS), (2, HOUR_MS, DAY_MS), (3, 3 * DAY_MS, 20 * DAY_MS)):
            lines = shuffled(nasty_stream(Random(200 + seed), 40, SPICES[spice]), within_ms, seed)
            applied = in_time(lines, lateness_ms)
            until_ms = max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS
            settings = Settings(allowed_lateness_ms=lateness_ms, order_memory_ms=PATIENT.allowed_lateness_ms)
            finished = mode(
                lines, until_ms, settings=settings, rules=BOTH["test"][0], cached_customers=1, similar=SIMILAR
            )
            assert_all(finished, applied, "test", until_ms, corrected=True)


class TestPackedAtEveryStep:
    @pytest.mark.parametrize("mode", [run, run_live])
    @pytest.mark.parametrize("spice", SPICES)
    def test_it_equals_not_having_been_packed(self, spice: str, mode: Any) -> None:
        """Everything said is the same, but for the values before a change, which are read anew after unpacking."""
        for seed in (1, 2):
            lines = nasty_stream(Random(300 + seed), 90, SPICES[spice], subjects=4)
            lines = shuffled(lines, (0, 2 * DAY_MS)[seed % 2], seed)
            until_ms = max(key_and_time(line)[1] for line in lines) + DAY_MS
            settings = Settings(allowed_lateness_ms=DAY_MS)
            rules = BOTH["test"][0]
            kept, at_once, at_times = (
                mode(lines, until_ms, settings=settings, rules=rules, cached_customers=cached, similar=SIMILAR)
                for cached in (20_000, 1, 2)  # with room for two, some are read with facts behind an older pack
            )
            for packed in (at_once, at_times):
                assert said(kept) == said(packed)
                assert kept.memberships() == packed.memberships()
                assert kept.features() == packed.features()


def said(finished: Finished) -> list[Any]:
    outputs: list[Any] = []
    for channel, key, payload in finished.outputs:
        if channel == Channel.SEGMENT_CHANGE:
            record = json.loads(payload)
            outputs.append((channel, {**record, "why": {name: after for name, (_, after) in record["why"].items()}}))
        else:
            outputs.append((channel, key, payload))
    return outputs


class TestLimitOfLateness:
    """Lateness of an hour behind a watermark of five seconds."""

    LIMIT_MS = 5_000 + HOUR_MS

    @pytest.mark.parametrize(("beside_ms", "is_late"), [(1, False), (0, False), (-1, True)])
    @pytest.mark.parametrize("mode", [run, run_live])
    def test_the_limit_itself_is_in_time(self, beside_ms: int, is_late: bool, mode: Any) -> None:
        newest_ms = START_MS + DAY_MS
        lines = [
            self.view(START_MS, "first"),
            self.view(newest_ms, "newest"),
            self.view(newest_ms - self.LIMIT_MS + beside_ms, "at-the-limit"),
        ]
        settings = Settings(allowed_lateness_ms=HOUR_MS)
        finished = mode(lines, newest_ms, settings=settings, cached_customers=1)
        assert finished.features()["c"]["views_1d"] == (1 if is_late else 2)
        assert finished.customer("c").late == is_late

    def test_a_duplicate_at_the_limit_is_still_known(self) -> None:
        """And one beyond it is too late before it is a duplicate."""
        first = self.view(START_MS, "one")
        for wait_ms, outcome in ((self.LIMIT_MS, "duplicate"), (self.LIMIT_MS + 1, "late")):
            lines = [first, *(self.view(START_MS + n * wait_ms // 200, f"e{n}") for n in range(1, 201)), first]
            as_of_ms = START_MS + wait_ms
            finished = run(lines, as_of_ms, settings=Settings(allowed_lateness_ms=HOUR_MS), cached_customers=1)
            assert finished.counts["c"][outcome] == 1
            assert finished.counts["c"]["applied"] == 201

    def test_an_erasure_at_the_limit_erases_exactly(self) -> None:
        newest_ms = START_MS + DAY_MS
        erase_ms = newest_ms - self.LIMIT_MS
        lines = [
            *(self.view(erase_ms + n * 60_000, f"e{n:02}") for n in range(-5, 50)),
            self.view(newest_ms, "newest"),
            json.dumps({"event_id": "x", "type": "erase", "timestamp": erase_ms, "customer_id": "c"}).encode(),
        ]
        settings = Settings(allowed_lateness_ms=HOUR_MS)
        finished = run(lines, newest_ms, settings=settings, cached_customers=1, similar=SIMILAR)
        assert_same(finished.features(), plain_features(lines, newest_ms))
        assert without_own_support(finished.items()) == expected_items(lines, newest_ms)
        assert finished.features()["c"]["views_1d"] == 50

    @staticmethod
    def view(time_ms: int, event_id: str) -> bytes:
        event = {"event_id": event_id, "type": "product_viewed", "product_id": "p", "customer_id": "c"}
        return json.dumps(event | {"timestamp": time_ms}).encode()


class TestLongSessions:
    @pytest.mark.parametrize("lateness_ms", [HOUR_MS, 7 * DAY_MS])
    def test_what_items_know_outlives_what_the_windows_need(self, lateness_ms: int) -> None:
        """Told after a first session, then hundreds of views without a pause: the difference is still exact."""
        settings = Settings(allowed_lateness_ms=lateness_ms)
        views = [
            json.dumps(
                {"event_id": f"e{n:05}", "type": "product_viewed", "product_id": f"p{n % 13}", "customer_id": "c",
                 "timestamp": START_MS + n * 20 * 60_000 + (4 * HOUR_MS if n >= 70 else 0)}
            ).encode()
            for n in range(900)
        ]  # fmt: skip
        for count in (70, 120, 900):
            # somebody else's event lets the watermark pass the end of the first session before the second one begins
            between = views[69].replace(b'"c"', b'"d"').replace(b"product_viewed", b"product_clicked")
            between = between.replace(str(key_and_time(views[69])[1]).encode(), b"%d" % (START_MS + 26 * HOUR_MS))
            lines = [*views[:70], between, *views[70:count]]
            until_ms = key_and_time(lines[-1])[1] + HOUR_MS
            for cached in (1, 20_000):
                finished = run_live(lines, until_ms, settings=settings, cached_customers=cached, similar=SIMILAR)
                assert without_own_support(finished.items()) == expected_items(lines, until_ms)
