"""What is said of an experiment, from its sums."""

from random import Random

import pytest

from schemas.variant_label import Arm
from state.experiments.estimates import METRICS
from state.experiments.logic import EVERY_MS, MOST_WAITING, ExperimentLogic, body, read_body
from state.experiments.report import report
from state.experiments.sums import Outcome
from state.experiments.tally import MOST_CELLS, Cell, Tally
from state.experiments.told import Told, message, message_key
from tests.state.items.item_stores import PendingStore

NO_ORDER = Outcome(5, 1, 0, 0)


def told(variant: str, place: int = 0, shares: str = "", segments: tuple[str, ...] = (), crossed: bool = False,
         outcome: Outcome = NO_ORDER) -> Told:  # fmt: skip
    return Told(Arm("x", variant, place, shares), segments, crossed, outcome)


def shop(customers: int = 4_000, better: float = 0.2, seed: int = 1) -> Tally:
    """Two variants, one of which converts more often."""
    random, tally = Random(seed), Tally()
    for _ in range(customers):
        variant, place = random.choice((("a", 1), ("b", 2)))
        orders = int(random.random() < (better if variant == "b" else 0.1))
        one = told(variant, place, "1:1", ("new",) if random.random() < 0.3 else (), random.random() < 0.1,
                   Outcome(5, random.randrange(3), orders, orders * 1_000))  # fmt: skip
        tally.take(None, one)
    return tally


class TestTallies:
    def test_what_is_taken_back_leaves_nothing(self) -> None:
        random, tally = Random(2), Tally()
        everybody = [
            told(random.choice("abc"), segments=tuple(random.sample("xyz", 2)), crossed=random.random() < 0.5,
                 outcome=Outcome(random.randrange(9), 1, 2, 10**12))
            for _ in range(200)
        ]  # fmt: skip
        for one in everybody:
            tally.take(None, one)
        assert Tally.unpacked(tally.packed()).packed() == tally.packed()
        for one, other in zip(everybody, reversed(everybody), strict=True):
            tally.take(one, other)
        packed = tally.packed()
        for one in everybody:
            tally.take(one, None)
        assert packed[0]
        assert tally.packed() == [[], {}, 0]

    def test_what_there_is_no_room_for_is_counted(self) -> None:
        tally = Tally()
        for number in range(MOST_CELLS + 3):
            tally.take(None, told(f"v{number}"))
        assert (len(tally.cells), tally.left_out) == (MOST_CELLS, 3)
        tally.take(told(f"v{MOST_CELLS}"), None)
        assert tally.left_out == 2


class TestReports:
    def test_a_difference_is_seen_and_nothing_where_there_is_none(self) -> None:
        found = report("x", 7, shop())
        assert (found.control, found.as_of_ms, found.customers) == ("a", 7, 4_000)
        verdicts = {one.metric: one.verdict for one in found.variants[1].compared}
        assert verdicts["conversion"] == verdicts["orders_per_customer"] == "better"
        assert verdicts["ctr"] == "no difference seen yet"
        assert set(verdicts) == set(METRICS)
        assert report("x", 7, shop(better=0.1)).variants[1].compared[1].verdict == "no difference seen yet"
        assert found.sample_ratio.verdict == "as expected"

    def test_another_control(self) -> None:
        one, other = report("x", 7, shop()), report("x", 7, shop(), control="b")
        assert [variant.variant for variant in other.variants] == ["b", "a"]
        for there, back in zip(one.variants[1].compared, other.variants[1].compared, strict=True):
            assert there.difference == pytest.approx(-back.difference)
            assert there.p_value == pytest.approx(back.p_value)

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("mostly", ["1:1", "9:1"])
    def test_the_order_is_that_of_the_shares_of_most_customers(self, mostly: str, reverse: bool) -> None:
        """Where places were changed: however the cells come, and by it the control. Without shares, last, by name."""
        tally = Tally()
        everybody = [
            *(told("ab"[place - 1], place, "1:1") for place in (1, 2) for _ in range(30 if mostly == "1:1" else 10)),
            *(told("ba"[place - 1], place, "9:1") for place in (1, 2) for _ in range(20)),
            *(told(name) for name in "dca" for _ in range(500)),
        ]
        for one in reversed(everybody) if reverse else everybody:
            tally.take(None, one)
        order = ["a", "b", "c", "d"] if mostly == "1:1" else ["b", "a", "c", "d"]
        for known in (tally, Tally.unpacked(tally.packed())):
            assert [variant.variant for variant in report("x", 7, known).variants] == order

    def test_of_a_segment(self) -> None:
        tally = shop()
        everybody, new = report("x", 7, tally), report("x", 7, tally, segment="new")
        assert everybody.segments == ("new",)
        assert 1_000 < new.customers < 1_400
        assert [variant.crossed for variant in new.variants] == [None, None]
        assert all(variant.crossed for variant in everybody.variants)

    def test_shares_that_were_not_kept(self) -> None:
        """By the shares that were in force, not by half and half."""
        tally = Tally()
        for number in range(4_000):
            tally.take(None, told("ab"[number % 4 == 0], 1 + (number % 4 == 0), "9:1"))
        ratio = report("x", 7, tally).sample_ratio
        assert (ratio.verdict, ratio.observed, ratio.expected) == ("mismatch", 3_000, 3_600)
        fair = Tally()
        for number in range(4_000):
            fair.take(None, told("ab"[number % 10 == 0], 1 + (number % 10 == 0), "9:1"))
        assert report("x", 7, fair).sample_ratio.verdict == "as expected"

    def test_nothing_is_better_where_shares_were_not_kept(self) -> None:
        """Whatever the numbers say, which stay for whoever looks for the fault."""
        kept, torn = shop(better=0.2), shop(better=0.2)
        for _ in range(2_000):
            torn.take(None, told("a", 1, "1:1"))
        found, lost = (report("x", 7, tally).variants[1].compared for tally in (kept, torn))
        assert "better" in {one.verdict for one in found}
        assert {one.verdict for one in lost} == {"mismatch"}
        assert {one.reason for one in lost} == {"the variants have not the customers that their shares promise"}
        assert all(one.low is not None and one.low > 0 for one in lost if one.metric == "conversion")

    def test_a_variant_that_was_replaced_is_no_mismatch(self) -> None:
        """Another one at its place, with its share."""
        tally = Tally()
        for number in range(4_000):
            place = 1 + number % 2
            name = "a" if place == 1 else "bc"[number > 2_000]
            tally.take(None, told(name, place, "1:1"))
        assert report("x", 7, tally).sample_ratio.verdict == "as expected"

    def test_a_variant_that_nobody_was_shown_is_missed(self) -> None:
        tally = Tally()
        for _ in range(1_000):
            tally.take(None, told("a", 1, "1:1"))
        assert report("x", 7, tally).sample_ratio.verdict == "mismatch"

    def test_without_shares_nothing_is_said_of_them(self) -> None:
        tally = Tally()
        tally.take(None, told("a"))
        ratio = report("x", 7, tally).sample_ratio
        assert (ratio.verdict, ratio.p_value, ratio.customers_without_shares) == ("unknown", None, 1)

    def test_of_nothing(self) -> None:
        found = report("x", 7, Tally())
        assert (found.variants, found.control, found.sample_ratio.verdict) == ((), None, "nobody yet")

    def test_shares_changed_on_the_way_make_no_effect(self) -> None:
        """Simpson's paradox: everybody converts more often later, and later most get b."""
        tally, random = Tally(), Random(3)
        for shares, rate in (("9:1", 0.05), ("1:9", 0.3)):
            weights = tuple(map(int, shares.split(":")))
            for _ in range(5_000):
                place = random.choices((1, 2), weights)[0]
                orders = int(random.random() < rate)
                tally.take(None, told("ab"[place - 1], place, shares, outcome=Outcome(1, 0, orders, orders * 100)))
        found = report("x", 7, tally)
        a, b = found.variants
        assert b.metrics["conversion"] > 2 * a.metrics["conversion"]  # put together, it looks like that
        compared = b.compared[1]
        assert compared.variant - compared.control == pytest.approx(compared.difference)
        assert abs(compared.difference) < 0.03
        assert {one.verdict for one in b.compared} <= {"no difference seen yet", "too few"}


class TestLogic:
    def test_writes_what_can_be_read_and_remembers_it(self) -> None:
        logic, store = ExperimentLogic(), PendingStore()
        key = message_key("x")
        assert logic.on_message(key, message(None, told("a").packed()), 1_234_567, store) == 1_235 * EVERY_MS
        ((_, _, first),) = logic.on_time(key, 1_235_000, store)
        assert store.messages == []
        logic = ExperimentLogic()  # after a restart
        logic.on_message(key, message(told("a").packed(), told("b").packed()), 1_236_000, store)
        ((_, _, second),) = logic.on_time(key, 1_237_000, store)
        assert first != second
        tally = read_body(body(logic._settled(store).tally))
        assert list(tally.cells) == [Cell("b", 0, "", "")]

    def test_messages_do_not_heap_up(self) -> None:
        logic, store = ExperimentLogic(as_of_ms=5), PendingStore()
        for _ in range(2 * MOST_WAITING + 10):
            assert logic.on_message(message_key("x"), message(None, told("a").packed()), 0, store) is None
            assert len(store.messages) < MOST_WAITING
        assert logic._settled(store).tally.cells[Cell("a", 0, "", "")].customers == 2 * MOST_WAITING + 10
