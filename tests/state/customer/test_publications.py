"""A live job that publishes as of T leaves in Redis what a run that ends at T leaves there."""

import json
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from customer_runs import in_order, key_and_time, shuffled
from item_sums import SIMILAR
from nasty_streams import SPICES, START_MS, nasty_stream
from oracle.streams import odd_stream
from rules_twice import BOTH
from whole_runs import WholeRun, bounded

from schemas.control import decode_control
from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.channels import Channel
from state.control import ControlLogic, ControlVersionError
from state.local import DictStore, DictView
from state.publications import ANNOUNCED, KEPT, Announcement, Publications, PublicationsVersionError

RULES = {which: rules for which, (rules, _) in BOTH.items()}


def times(lines: list[bytes]) -> list[int]:
    return [known[1] for line in lines if (known := key_and_time(line))]


def streams(seed: int, spice: str) -> list[bytes]:
    if spice == "odd":
        return odd_stream(Random(seed), 120, subjects=5)
    return nasty_stream(Random(seed), 60, SPICES[spice], subjects=4)


def assert_published(live: WholeRun, expected: WholeRun, as_of_ms: int) -> None:
    found, wanted = live.redis.left(), expected.redis.left()
    for what in ("profiles", "members", "similar"):
        assert found[what] == wanted[what], what
    assert all(value["as_of_ms"] == as_of_ms for value in found["profiles"].values())
    assert all(value["as_of_ms"] == as_of_ms for value in found["similar"].values())


class TestLikeARunThatEnds:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("spice", ["odd", *SPICES])
    def test_after_the_last_event(self, spice: str, seed: int) -> None:
        """Profiles, members and lists, whatever arrived in which order; asked for at any time before."""
        random = Random(seed)
        lines = streams(seed, spice)
        arrived = (in_order(lines), lines, shuffled(lines, 3 * DAY_MS, seed))[seed % 3]
        which = ("test", "default")[seed % 2]
        as_of_ms = max(times(lines)) + random.choice((0, 1, HOUR_MS, 12 * DAY_MS, 40 * DAY_MS))
        asked = random.randrange(len(arrived) + 1)
        live = WholeRun(RULES[which], SIMILAR, cached_customers=(1, 20_000)[seed % 2])
        live.feed(arrived[:asked])
        live.publish("p", as_of_ms)
        live.feed(arrived[asked:])
        live.pass_time(as_of_ms)
        assert_published(live, bounded(arrived, as_of_ms, RULES[which], SIMILAR), as_of_ms)

    @pytest.mark.parametrize("seed", range(6))
    def test_in_the_middle_of_a_stream_in_order(self, seed: int) -> None:
        """What is written as of T is that of T, although the watermark jumps far beyond it."""
        lines = in_order(odd_stream(Random(50 + seed), 200, subjects=4))
        known = sorted(set(times(lines)))
        gaps = [one for one, other in pairwise(known) if other - one > HOUR_MS]
        as_of_ms = gaps[len(gaps) // 2] + HOUR_MS // 2
        cut = next(at for at, line in enumerate(lines) if key_and_time(line)[1] > as_of_ms)
        live = WholeRun(RULES["test"], SIMILAR)
        live.feed(lines[: cut // 2])
        live.publish("p", as_of_ms)
        live.feed(lines[cut // 2 : cut])
        live.local.watermark_ms = max(live.local.watermark_ms, as_of_ms - 1)
        live.pass_time(as_of_ms)
        assert_published(live, bounded(lines, as_of_ms, RULES["test"], SIMILAR), as_of_ms)
        live.feed(lines[cut:])
        end_ms = known[-1] + DAY_MS
        live.pass_time(end_ms - 1)
        live.publish("end")
        live.pass_time(end_ms)
        assert_published(live, bounded(lines, end_ms, RULES["test"], SIMILAR), end_ms)

    @pytest.mark.parametrize("seed", range(4))
    def test_a_restart_before_it(self, seed: int) -> None:
        """The moment is part of the state; who comes after the restart is written as well."""
        random = Random(seed)
        lines = shuffled(odd_stream(Random(70 + seed), 150, subjects=8), DAY_MS, seed)
        as_of_ms = max(times(lines)) + HOUR_MS
        live = WholeRun(RULES["default"], SIMILAR, cached_customers=2)
        live.publish("p", as_of_ms)
        for at in range(0, len(lines), 30):
            live.feed(lines[at : at + 30])
            if random.random() < 0.7:
                live.restart()
            assert live.publications == {as_of_ms}
            if random.random() < 0.5:
                assert live.publish("p", as_of_ms + 5) == []
        live.pass_time(as_of_ms)
        assert_published(live, bounded(lines, as_of_ms, RULES["default"], SIMILAR), as_of_ms)
        live.restart()
        assert live.publications == set()


class TestMoments:
    def test_a_past_one_is_the_next_millisecond(self) -> None:
        lines = in_order(odd_stream(Random(1), 100, subjects=4))
        now_ms = max(times(lines)) + DAY_MS
        for as_of_ms in (None, START_MS, now_ms):
            live = WholeRun(RULES["test"], SIMILAR)
            live.feed(lines)
            live.pass_time(now_ms)
            live.publish("p", as_of_ms)
            live.pass_time(now_ms + 1)
            assert_published(live, bounded(lines, now_ms + 1, RULES["test"], SIMILAR), now_ms + 1)

    def test_who_is_ahead_is_written_as_of_the_own_clock(self) -> None:
        """Nobody goes back in time: an event of after T, read before T was reached, is in the profile."""
        events = [
            {"event_id": f"e{at}", "type": "product_viewed", "timestamp": START_MS + at, "customer_id": customer,
             "product_id": "p"}
            for at, customer in ((0, "a"), (1, "b"), (3_000, "a"))
        ]  # fmt: skip
        live = WholeRun(RULES["test"], SIMILAR)
        live.publish("p", START_MS + 2_000)
        live.feed(json.dumps(event).encode() for event in events)
        live.pass_time(START_MS + 2_000)
        profiles = live.redis.left()["profiles"]
        assert profiles["a"]["as_of_ms"] == START_MS + 3_000
        assert profiles["a"]["features"]["views_1d"] == 2
        assert profiles["b"]["as_of_ms"] == START_MS + 2_000

    def test_a_name_counts_once(self) -> None:
        lines = in_order(odd_stream(Random(2), 60, subjects=3))
        end_ms = max(times(lines))
        live = WholeRun(RULES["test"], SIMILAR)
        live.feed(lines)
        live.pass_time(end_ms)
        live.publish("p")
        live.pass_time(end_ms + 1)
        before = len(live.redis.writes)
        assert live.publish("p") == []
        live.pass_time(end_ms + 2)
        assert len(live.redis.writes) == before
        live.publish("q")
        live.pass_time(end_ms + 3)
        assert_published(live, bounded(lines, end_ms + 3, RULES["test"], SIMILAR), end_ms + 3)

    def test_an_empty_redis_is_filled(self) -> None:
        """Everything is written, what has not changed as well."""
        lines = in_order(odd_stream(Random(3), 100, subjects=4))
        end_ms = max(times(lines))
        live = WholeRun(RULES["test"], SIMILAR)
        live.feed(lines)
        live.pass_time(end_ms)
        for control_id in ("p", "q"):
            live.redis.__init__()  # type: ignore[misc]
            live.publish(control_id)
            live.pass_time(live.local.watermark_ms + 1)
            as_of_ms = live.local.watermark_ms
            assert_published(live, bounded(lines, as_of_ms, RULES["test"], SIMILAR), as_of_ms)

    def test_a_job_without_publications_does_as_before(self) -> None:
        """No timer more, no write more."""
        lines = in_order(odd_stream(Random(4), 100, subjects=4))
        live = WholeRun(RULES["test"], SIMILAR)
        live.feed(lines)
        assert "publications" not in live.local.view
        assert live.local.logic._publications.times_ms == {}


class TestControl:
    def sent(self, logic: ControlLogic, store: DictStore, watermark_ms: int, **record: Any) -> tuple[Any, list[Any]]:
        raw = b"control:0:1\x1f" + json.dumps({"kind": "publish", **record}).encode()
        wake_ms, outputs = logic.on_record("control", raw, watermark_ms, store)
        return wake_ms, [decode_control(raw, 999).as_of_ms for channel, _, raw in outputs if channel == Channel.CONTROL]

    @pytest.fixture
    def logic(self) -> ControlLogic:
        return ControlLogic(Settings())

    def test_it_settles_the_moment(self, logic: ControlLogic) -> None:
        """Later than what any customer has seen."""
        store = DictStore()
        assert self.sent(logic, store, 500, control_id="a", as_of_ms=1_000) == (None, [1_000])
        assert self.sent(logic, store, 500, control_id="b", as_of_ms=100) == (None, [501])
        assert self.sent(logic, store, 500, control_id="c") == (None, [501])
        assert self.sent(logic, store, 900, control_id="c") == (None, [])

    def test_it_waits_until_it_knows_the_time(self, logic: ControlLogic) -> None:
        """As after a restart; nothing is lost or said twice."""
        store = DictStore()
        assert self.sent(logic, store, -(1 << 63), control_id="a", as_of_ms=1_000) == (0, [])
        assert self.sent(logic, store, -(1 << 63), control_id="b") == (0, [])
        assert self.sent(logic, store, -(1 << 63), control_id="b") == (None, [])
        told = [decode_control(raw, 999) for _, _, raw in logic.on_time("control", 2_000, store)]
        assert [(one.control_id, one.as_of_ms) for one in told] == [("a", 2_001), ("b", 2_001)]
        assert list(logic.on_time("control", 3_000, store)) == []

    def test_a_newer_version_is_refused(self, logic: ControlLogic) -> None:
        store = DictStore()
        store.save(b"\x93\x02\x90\x90")
        with pytest.raises(ControlVersionError, match="version 2"):
            self.sent(logic, store, 0, control_id="a")


class TestKept:
    def test_what_was_reached_is_not_announced_again(self) -> None:
        view = DictView()
        one = Publications()
        one.load(view)
        one.add(10)
        one.add(20)
        assert [Announcement.unpacked(packed).as_of_ms for packed in one.announcements(-1)] == [10, 20]
        assert all(packed[0] == ANNOUNCED for packed in one.announcements(-1))
        one.reached(10)
        again = Publications()
        again.load(view)
        assert [Announcement.unpacked(packed).as_of_ms for packed in again.announcements(-1)] == [20]
        assert set(again.times_ms) == {10, 20}
        assert (again.newest_ms, again.next_ms(9)) == (20, 20)
        assert again.announcements(20) == []

    def test_there_is_a_bound(self) -> None:
        one = Publications()
        one.add(1 << 40)
        for at_ms in range(3 * KEPT):
            one.add(at_ms)
            one.reached(at_ms)
        assert len(one.times_ms) <= KEPT + 2
        assert one.newest_ms == 1 << 40
        assert len(one.announcements(-1)) == 1

    def test_a_newer_version_is_refused(self) -> None:
        with pytest.raises(PublicationsVersionError, match="version 2"):
            Publications().load(DictView(publications=b"\x92\x02\x90"))
