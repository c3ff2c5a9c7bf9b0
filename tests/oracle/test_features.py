"""Two independent oracles for features: they agree with each other, and with values worked out by hand."""

from collections import defaultdict
from random import Random
from typing import Any

import pytest

from jobs.simulation import Simulation, SimulationSettings

from .builders import DAY, HOUR, MINUTE, T0, add, line, order, refund, view
from .events import parse_events
from .features import batch_features
from .plain import features_at
from .streams import odd_stream


def both(lines: list[bytes], at_ms: int, currency: str = "USD") -> dict[str, Any]:
    """The features of c1 as of T0 + at_ms, from the one oracle, after a check that the other says the same."""
    plain = features_at([e for e in parse_events(lines, currency) if e.subject == "c1"], T0 + at_ms)
    assert_same({"c1": plain} if plain else {}, batch_features(lines, T0 + at_ms, currency))
    return plain


def all_plain(lines: list[bytes], as_of_ms: int) -> dict[str, dict[str, Any]]:
    events = defaultdict(list)
    for event in parse_events(lines):
        events[event.subject].append(event)
    found = {subject: features_at(mine, as_of_ms) for subject, mine in events.items()}
    return {subject: features for subject, features in found.items() if features}


def assert_same(plain: dict[str, dict[str, Any]], batch: dict[str, dict[str, Any]]) -> None:
    assert set(plain) == set(batch)
    for subject, features in plain.items():
        other = dict(batch[subject])
        assert features["engagement"] == pytest.approx(other.pop("engagement"), rel=1e-9, abs=1e-12)
        assert {name: value for name, value in features.items() if name != "engagement"} == other


class TestByHand:
    def test_a_window_is_open_at_its_beginning(self) -> None:
        """(T − W, T]: a view at 0 is in the window of a day until one millisecond before a day is over."""
        lines = [view(0), view(0)]
        assert both(lines, 0)["views_1d"] == 2
        assert both(lines, DAY - 1)["views_1d"] == 2
        assert both(lines, DAY)["views_1d"] == 0
        assert both(lines, DAY)["views_7d"] == 2
        assert both(lines, -1) == {}

    def test_duplicates_count_once(self) -> None:
        """The same event id twice is one event; a different one at the same time is another."""
        one = view(0)
        assert both([one, view(0), one], 0)["views_1d"] == 2

    def test_sessions_without_ids_end_after_half_an_hour(self) -> None:
        """Views at 0, 30 min, 60 min + 1 ms: the first two are a session of 1,800,000 ms, the third one of 0 ms."""
        features = both([view(0), view(30 * MINUTE), view(60 * MINUTE + 1)], 2 * HOUR)
        assert features["sessions_1d"] == 2
        assert features["session_ms_1d"] == 30 * MINUTE

    def test_session_ids_bind_over_pauses_for_a_day(self) -> None:
        """Id a at 0, 2 h, 26 h (exactly a day idle: the same) and 50 h + 1 ms (anew): two sessions, 26 h and 0 ms."""
        times = (0, 2 * HOUR, 26 * HOUR, 50 * HOUR + 1)
        features = both([view(at, session_id="a") for at in times], 3 * DAY)
        assert features["sessions_7d"] == 2
        assert features["session_ms_7d"] == 26 * HOUR
        assert features["sessions_1d"] == 1  # only the second one began after 48 h

    def test_ids_and_none_side_by_side(self) -> None:
        """none at 0, a at 1, none at 2 (follows a), b at 3, a at 4: sessions none [0, 0], a [1, 4], b [3, 3] min."""
        ids: list[dict[str, str]] = [{}, {"session_id": "a"}, {}, {"session_id": "b"}, {"session_id": "a"}]
        features = both([view(n * MINUTE, **members) for n, members in enumerate(ids)], HOUR)
        assert features["sessions_1d"] == 3
        assert features["session_ms_1d"] == 3 * MINUTE

    def test_a_session_counts_where_it_begins(self) -> None:
        """It began a day ago, so its later events do not bring it into the day's window."""
        features = both([view(0), view(20 * MINUTE)], DAY + 10)
        assert (features["views_1d"], features["sessions_1d"], features["session_ms_1d"]) == (1, 0, 0)

    def test_orders_and_money(self) -> None:
        """2 x 9.99 + 0.50 = 20.48; with a total of 15.00: 35.48 in all; 3548 // 2 = 1774; one day between them."""
        lines = [order(0, "o1", ("p1", 2, 9.99), ("p2", 1, "0.50")), order(DAY, "o2", ("p1", 1, 99), total=15)]
        features = both(lines, 2 * DAY)
        assert (features["orders_total"], features["revenue_total_cents"]) == (2, 3548)
        assert (features["orders_1d"], features["revenue_1d_cents"]) == (0, 0)
        assert (features["orders_7d"], features["revenue_7d_cents"]) == (2, 3548)
        assert (features["average_order_cents"], features["recency_ms"]) == (1774, DAY)
        assert features["purchase_interval_ms"] == DAY

    def test_half_cents_go_to_even(self) -> None:
        """0.125 is 12 cents, 0.135 is 14, 12.345 is 1234; each amount on its own: 2 x 0.005 is 0."""
        amounts = {"0.125": 12, "0.135": 14, "12.345": 1234, "0.005": 0}
        for amount, cents in amounts.items():
            assert both([order(0, "o", total=amount)], 0)["revenue_total_cents"] == cents
        assert both([order(0, "o", ("p", 2, "0.005"))], 0)["revenue_total_cents"] == 0
        assert both([order(0, "o", total=1250)], 0, "JPY")["revenue_total_cents"] == 1250
        assert both([order(0, "o", total="1.2345")], 0, "KWD")["revenue_total_cents"] == 1234

    def test_an_order_id_counts_once(self) -> None:
        """The first one in event order; the second is activity, with its weight, and nothing more: 8 + 8."""
        features = both([order(10, "o", total=5), order(0, "o", total=3)], 10)
        assert (features["orders_total"], features["revenue_total_cents"]) == (1, 300)
        assert features["last_seen_ms"] == T0 + 10
        assert features["engagement"] == pytest.approx(16, rel=1e-6)

    def test_a_refund_acts_at_the_time_of_the_order_from_its_own_time_on(self) -> None:
        """3 units at 10.00, one returned a day later: 20.00 left, still an order; all returned: none, 0."""
        lines = [order(0, "o", ("p", 3, 10)), refund(DAY, "o", ("p", 1, None))]
        assert both(lines, DAY - 1)["revenue_7d_cents"] == 3000
        features = both(lines, DAY)
        assert (features["revenue_1d_cents"], features["revenue_7d_cents"], features["orders_7d"]) == (0, 2000, 1)
        features = both([*lines, refund(DAY, "o", ("p", 2, 9))], DAY)  # 30.00 - 10.00 - 18.00, but every unit is back
        assert (features["orders_total"], features["revenue_total_cents"], features["recency_ms"]) == (0, 200, None)
        assert features["average_order_cents"] is None

    def test_what_is_taken_never_exceeds_what_is_left(self) -> None:
        """An order of 10.00: 7.00 and 7.00 by total leave 0, so it is wholly refunded."""
        lines = [order(0, "o", ("p", 5, 2)), refund(1, "o", total=7)]
        assert both(lines, 1)["revenue_total_cents"] == 300
        features = both([*lines, refund(2, "o", total=7)], 2)
        assert (features["orders_total"], features["revenue_total_cents"]) == (0, 0)

    def test_amount_from_total_and_units_from_products(self) -> None:
        """An order of 2 units for 10.00; both come back for 4.00: wholly refunded, 6.00 stay."""
        features = both([order(0, "o", ("p", 2, 5)), refund(1, "o", ("p", 2, 5), total=4)], 1)
        assert (features["orders_total"], features["revenue_total_cents"]) == (0, 600)

    def test_a_free_order_is_an_order(self) -> None:
        """Nothing was taken of it; without detail, it is undone all the same."""
        assert both([order(0, "o", total=0)], 0)["orders_total"] == 1
        assert both([order(0, "o", total=0), refund(1, "o", total=3)], 1)["orders_total"] == 1
        assert both([order(0, "o", total=0), refund(1, "o")], 1)["orders_total"] == 0

    def test_a_refund_of_an_unknown_order_moves_over_to_it(self) -> None:
        """-5.00 at its own time; then the order appears a day later: 8.00 - 5.00 at the order's time."""
        lines = [refund(0, "o", total=5), order(DAY, "o", ("p", 1, 8))]
        features = both(lines, DAY - 1)
        assert (features["revenue_total_cents"], features["revenue_1d_cents"]) == (-500, -500)
        features = both(lines, DAY)
        assert (features["revenue_total_cents"], features["revenue_1d_cents"]) == (300, 300)
        assert both([refund(0, "x", ("p", 3, 2), ("q", 1, None))], 0)["revenue_total_cents"] == -600
        assert both([refund(0, "x")], 0)["revenue_total_cents"] == 0

    def test_carts(self) -> None:
        """2 of p1 added, 1 removed: open; abandoned half an hour after the last event; a removal of all closes it."""
        lines = [add(0, quantity=2), line("product_removed", 1, product_id="p1", quantity=1)]
        features = both(lines, 30 * MINUTE)
        assert (features["cart_open"], features["cart_abandoned_at_ms"]) == (True, None)
        assert both(lines, 30 * MINUTE + 1)["cart_abandoned_at_ms"] == T0 + 30 * MINUTE + 1
        assert not both([*lines, line("product_removed", 2, product_id="p1")], 2)["cart_open"]
        assert not both([*lines, order(2, "o", ("p1", 1, 1))], 2)["cart_open"]
        assert both([*lines, order(2, "o", ("p2", 1, 1))], 2)["cart_open"]
        assert not both([*lines, order(2, "o", total=1)], 2)["cart_open"]

    def test_a_cart_holds_fifty_products(self) -> None:
        """Of p0 ... p50, with p0 added again before p50, p1 has gone: removing all others closes the cart."""
        lines = [add(n, f"p{n}") for n in range(50)] + [add(50, "p0"), add(51, "p50")]
        others = [n for n in range(51) if n != 1]
        lines += [line("product_removed", 100 + n, product_id=f"p{n}") for n in others[1:]]
        assert both(lines, 200)["cart_open"]
        assert not both([*lines, line("product_removed", 200, product_id="p0")], 200)["cart_open"]

    def test_engagement_halves_in_a_week(self) -> None:
        """A view (1) and, a week later, an addition (3): 3.5 then, 1.75 another week later."""
        lines = [view(0), add(7 * DAY), line("recommendation_shown", 7 * DAY, product_id="p")]
        assert both(lines, 7 * DAY)["engagement"] == pytest.approx(3.5)
        assert both(lines, 14 * DAY)["engagement"] == pytest.approx(1.75)

    def test_categories_by_interest_then_name(self) -> None:
        """c: 5 + 5; b and a: 3 each; d: 2 a month ago, so 1; e: 1, of the same weight as d."""
        lines = [
            line("wishlist_added", 0, product_id="p", category="d"),
            view(30 * DAY, category="e"),
            add(30 * DAY, category="b"),
            add(30 * DAY, category="a"),
            line(
                "order_completed", 30 * DAY, order_id="o", products=[{"product_id": n, "category": "c"} for n in "xy"]
            ),
        ]
        assert both(lines, 30 * DAY)["top_categories"] == ["c", "a", "b", "d", "e"]

    def test_context_fields_one_by_one(self) -> None:
        """Each is of the newest event that has it."""
        lines = [view(0, context={"device": "x", "channel": "mail"}), view(1, context={"device": "y"}), view(2)]
        features = both(lines, 2)
        assert (features["device"], features["location"], features["channel"]) == ("y", None, "mail")

    def test_without_consent_nothing_counts(self) -> None:
        """View, no, view, other purpose, yes, view: two views count, and the consents are activity."""
        lines = [view(0), line("consent", 1, purposes={"personalization": False}), view(2)]
        lines.append(line("consent", 3, purposes={"ads": True}))
        assert both(lines, 3)["views_1d"] == 1
        assert both(lines, 3)["last_seen_ms"] == T0 + 3
        lines += [line("consent", 4, purposes={"personalization": True}), view(5)]
        assert both(lines, 5)["views_1d"] == 2

    def test_an_erasure_leaves_nothing(self) -> None:
        """Neither events nor orders nor a withdrawn consent; what comes after it counts."""
        lines = [order(0, "o", total=5), line("consent", 1, purposes={"personalization": False}), line("erase", 2)]
        assert both(lines, 1)["orders_total"] == 1
        assert both(lines, 2) == {}
        features = both([*lines, view(3), refund(4, "o", total=2)], 4)
        assert (features["views_1d"], features["first_seen_ms"]) == (1, T0 + 3)
        assert (features["orders_total"], features["revenue_total_cents"]) == (0, -200)

    def test_times_are_cut_off_to_milliseconds(self) -> None:
        """With any zone and any number of digits."""
        lines = [line("product_viewed", 0, product_id="p") for _ in range(3)]
        stamps = [b'"2025-03-01T00:00:00.0019999Z"', b'"2025-03-01T05:30:00.5+05:30"', b'"2025-02-28T23:00:00-01:00"']
        lines = [one.replace(str(T0).encode(), stamp) for one, stamp in zip(lines, stamps, strict=True)]
        features = both(lines, 1000)
        assert (features["first_seen_ms"], features["last_seen_ms"], features["views_1d"]) == (T0, T0 + 500, 3)
        assert sorted(event.time_ms - T0 for event in parse_events(lines)) == [0, 1, 500]


class TestAgreement:
    @pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 6))])
    def test_on_odd_streams(self, seed: int) -> None:
        """Everything that can meet does meet."""
        random = Random(seed)
        lines = odd_stream(random, 600, subjects=8)
        as_of_ms = random.choice(parse_events(lines)).time_ms + random.choice((0, 30 * MINUTE - 1, 30 * MINUTE, DAY))
        assert_same(all_plain(lines, as_of_ms), batch_features(lines, as_of_ms, "USD"))

    @pytest.mark.parametrize("back_ms", [0, 5 * DAY + 12345])
    def test_on_a_simulated_log(self, back_ms: int) -> None:
        """With duplicates, delays, refunds before orders, and one very busy customer."""
        settings = SimulationSettings(
            events=6_000, customers=200, days=40, duplicates=0.05, shuffle_ms=HOUR, refunds_first=True, hot_share=0.1
        )
        simulation = Simulation(settings)
        lines = list(simulation.lines())
        as_of_ms = (simulation.truth().counts.last_ms or 0) - back_ms
        assert_same(all_plain(lines, as_of_ms), batch_features(lines, as_of_ms, "USD"))
