"""The cart and the interests against working them out anew."""

from math import exp2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.events import Event, Line
from oracle.plain import cart_of

from schemas.settings import DAY_MS
from state.customer.cart import CART_MAX, Cart
from state.customer.interests import HALF_LIFE_MS, KEPT, SHOWN, Interests

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["product_added", "product_added", "product_removed", "order_completed"]),
        st.lists(st.sampled_from("abcd"), max_size=2),
        st.sampled_from([None, 1, 1, 2, 5]),
    ),
    max_size=30,
)


class TestCart:
    @settings(max_examples=80, deadline=None, derandomize=True)
    @given(STEPS)
    def test_any_sequence(self, steps: list) -> None:
        """Units, products and the order of their last addition, through packed state at every step."""
        cart, events = Cart(), []
        for number, (kind, products, quantity) in enumerate(steps):
            product = products[0] if products else "a"
            if kind == "product_added":
                cart.add(product, quantity or 1)
            elif kind == "product_removed":
                cart.remove(product, quantity)
            else:
                cart.buy(products)
            lines = tuple(Line(name, 1, None, None) for name in products)
            events.append(
                Event(number, f"e{number}", "c", kind, product_id=product, quantity=quantity, lines=lines,
                      order_id=f"o{number}")
            )  # fmt: skip
            cart = Cart.unpacked(list(cart.packed()))
            assert list(cart.units.items()) == list(cart_of(events).items())

    def test_the_most_recently_added_products_stay(self) -> None:
        cart = Cart()
        for number in range(CART_MAX):
            cart.add(f"p{number}", 1)
        cart.add("p0", 1)
        cart.add("new", 1)
        assert "p1" not in cart.units
        assert (cart.units["p0"], cart.units["new"], len(cart.units)) == (2, 1, CART_MAX)


class TestInterests:
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([1, 2, 3, 5]), st.integers(0, 40)), max_size=40))
    def test_scores_are_sums_of_decayed_weights(self, events: list[tuple[int, int, int]]) -> None:
        interests, now_ms, gained = Interests(), 1_000 * DAY_MS, []
        for name, weight, pause in events:
            now_ms += pause * DAY_MS // 3
            interests.add(f"k{name:02}", weight, now_ms)
            interests.trim(now_ms)
            gained.append((f"k{name:02}", weight, now_ms))
        scores: dict[str, float] = {}
        for name, weight, at_ms in gained:
            scores[name] = scores.get(name, 0.0) + weight * exp2((at_ms - now_ms) / HALF_LIFE_MS)
        best = sorted(scores, key=lambda name: (-round(scores[name], 9), name))[:SHOWN]
        shown = interests.top()
        # those that tie in the last digits only may stand in either order
        assert [scores[name] for name in shown] == pytest.approx([scores[name] for name in best], rel=1e-7)

    def test_equal_scores_are_ordered_by_name(self) -> None:
        interests = Interests()
        for name in ("c", "a", "d", "b", "f", "e"):
            interests.add(name, 1.0, 5)
        assert interests.top() == ["a", "b", "c", "d", "e"]

    def test_the_order_of_lines_does_not_matter(self) -> None:
        """Equal sums that were added up in another order differ in the last digit, and still count as equal."""
        shown = []
        for weights in ((0.1, 0.2, 0.3), (0.3, 0.2, 0.1)):
            interests = Interests()
            for weight in weights:
                interests.add("b", weight, 0)
            interests.add("a", 0.6, 0)
            shown.append(interests.top())
        assert shown == [["a", "b"], ["a", "b"]]

    def test_the_best_twenty_stay(self) -> None:
        interests = Interests()
        for number in range(100):
            interests.add(f"k{number:03}", 1.0 + number, number)
            interests.trim(number)
        assert sorted(interests.scores) == [f"k{number:03}" for number in range(100 - KEPT, 100)]
        assert interests.top() == ["k099", "k098", "k097", "k096", "k095"]
