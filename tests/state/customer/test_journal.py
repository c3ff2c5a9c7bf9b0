"""The journal: facts in order, snapshots that thin out, ids of what can come again."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.facts import Fact, Kind
from schemas.settings import DAY_MS
from state.customer.journal import FACTS_PER_SNAPSHOT, SNAPSHOTS_MAX, Journal, pack_facts, unpack_facts
from state.dict_chunks import DictChunkStore
from state.packing import pack, unpack

LATENESS_MS = 7 * DAY_MS
PAUSES = (0, 0, 1, 60_000, DAY_MS // 20, DAY_MS, 8 * DAY_MS)
LINES = (("p1", 2, 999, "k"), ("p2", 1, None, None))
FACTS = [
    Fact(1, "a", Kind.PRODUCT_VIEWED, product_id="p"),
    Fact(1, "b", Kind.PRODUCT_ADDED, product_id="p", category="k", session_id="s", quantity=3),
    Fact(2, "c", Kind.PRODUCTS_SEARCHED, device="phone", location="de", channel="ad"),
    Fact(2, "d", Kind.ORDER_COMPLETED, order_id="o", lines=LINES, amount_cents=0, device="phone"),
    Fact(3, "e", Kind.ORDER_REFUNDED, order_id="o", lines=LINES[:1]),
    Fact(3, "f", Kind.ORDER_CANCELLED, order_id="o"),
    Fact(4, "g", Kind.CONSENT, personalization=False),
    Fact(4, "h", Kind.CONSENT),
    Fact(5, "é\x1f\u2028", Kind.IDENTIFY, location="a\nb"),
    Fact(5, "i", Kind.CHECKOUT_STARTED, session_id="s"),
    Fact(6, "j", Kind.RECOMMENDATION_SHOWN, product_id="p", quantity=3, order_id="0123456789abcdef"),
    Fact(6, "k", Kind.RECOMMENDATION_SHOWN, product_id="p", quantity=2, variant="blend=seed@2/50:50"),
    Fact(7, "l", Kind.RECOMMENDATION_CLICKED, product_id="p"),
]


class Kept:
    """A journal as a customer keeps it, and beside it a plain list of all facts."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.journal.take(-1, b"")
        self.facts: list[Fact] = []

    def add(self, fact: Fact, watermark_ms: int) -> None:
        newest_ms = self.facts[-1].time_ms if self.facts else -1
        if fact.time_ms > newest_ms and self.journal.wants_snapshot(fact.time_ms, LATENESS_MS):
            self.journal.take(newest_ms, b"%d" % len(self.facts))
            self.journal.thin(watermark_ms - LATENESS_MS)
        self.journal.ids.add(fact.event_id)
        self.journal.append(fact)
        self.facts.append(fact)

    def reload(self) -> None:
        store = DictChunkStore()
        again = Journal()
        again.load(unpack(pack(self.journal.save(store))), store)
        self.journal = again


def walk(seed: int, length: int) -> list[Fact]:
    random, now_ms, facts = Random(seed), 1_000 * DAY_MS, []
    for number in range(length):
        now_ms += random.choice(PAUSES)
        facts.append(Fact(now_ms, f"e{number}", Kind.PRODUCT_VIEWED, product_id="p", device=random.choice("abc")))
    return facts


class TestFacts:
    @pytest.mark.parametrize("reload", [False, True])
    def test_every_kind_comes_back_as_it_was(self, reload: bool) -> None:
        """What the fold looks at, that is: the lines of a checkout are looked at by nobody."""
        kept = Kept()
        for fact in FACTS:
            kept.add(fact, -1)
        if reload:
            kept.reload()
        assert kept.journal.cut(kept.journal.snapshots[0]) == FACTS
        assert kept.journal.ids == {fact.event_id for fact in FACTS}

    def test_more_contexts_than_are_numbered(self) -> None:
        kept = Kept()
        facts = [Fact(n, f"e{n}", Kind.IDENTIFY, device=f"d{n}", channel="c") for n in range(200)]
        for fact in facts:
            kept.add(fact, -1)
        kept.reload()
        assert kept.journal.cut(kept.journal.snapshots[0]) == facts

    def test_waiting_facts_too(self) -> None:
        assert unpack_facts(pack_facts(FACTS)) == FACTS


class TestSnapshots:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 400), st.integers(0, 2))
    def test_whatever_is_in_time_has_one_before_it(self, seed: int, length: int, late_watermark: int) -> None:
        """And from it on all facts, in order; the ids are those of the facts, and there are few snapshots."""
        kept = Kept()
        for number, fact in enumerate(walk(seed, length)):
            watermark_ms = fact.time_ms - late_watermark * DAY_MS
            kept.add(fact, watermark_ms)
            if number % 37 == 0:
                kept.reload()
            assert len(kept.journal.snapshots) <= SNAPSHOTS_MAX + 1
        journal, horizon_ms = kept.journal, watermark_ms - LATENESS_MS
        assert {fact.event_id for fact in kept.facts if fact.time_ms >= horizon_ms} <= journal.ids
        clocks = [snapshot.clock_ms for snapshot in journal.snapshots]
        assert clocks == sorted(clocks)
        snapshot = journal.before(horizon_ms)
        assert snapshot.clock_ms < horizon_ms
        after = int(snapshot.packed or b"0")
        assert all(fact.time_ms <= snapshot.clock_ms for fact in kept.facts[:after])
        assert all(fact.time_ms > snapshot.clock_ms for fact in kept.facts[after:])
        held = {fact.event_id for fact in kept.facts[-(journal.facts.end - journal.facts.first) :]}
        assert journal.ids == held
        assert journal.cut(snapshot) == kept.facts[after:]
        assert journal.snapshots[-1] == snapshot

    def test_near_ones_stay_close_together(self) -> None:
        """Whatever lies within the newest facts replays a few times the spacing, and far ones a share of all."""
        kept = Kept()
        count = 20_000
        for number in range(count):
            kept.add(Fact(number + 1, f"e{number}", Kind.IDENTIFY), -1)
        for age in (1, 50, 1_000, 5_000, 15_000):
            replayed = kept.journal.facts.end - kept.journal.before(count - age).facts_end
            assert replayed <= 2 * age + 2 * FACTS_PER_SNAPSHOT, age

    def test_old_facts_and_their_ids_are_let_go(self) -> None:
        """Ten events a day for three years: what is held is what the lateness spans, and the spacing."""
        kept = Kept()
        for number in range(10_950):
            now_ms = number * DAY_MS // 10
            kept.add(Fact(now_ms, f"e{number}", Kind.IDENTIFY), now_ms)
        assert len(kept.journal.ids) == len(kept.journal.facts.values) <= 70 + 2 * FACTS_PER_SNAPSHOT

    def test_forgotten_facts_leave_their_ids_only(self) -> None:
        kept = Kept()
        for fact in FACTS:
            kept.add(fact, -1)
        assert kept.journal.forget_facts() == {fact.event_id for fact in FACTS}
        kept.journal.take(5, b"")
        store = DictChunkStore()
        packed = pack(kept.journal.save(store))
        assert not store
        assert b"phone" not in packed
        assert kept.journal.cut(kept.journal.snapshots[0]) == []
