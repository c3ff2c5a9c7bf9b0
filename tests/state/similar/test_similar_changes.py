"""Messages and rows against the naive oracle: appended, evicted, late, refunded, erased."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from similar_ledgers import SETTINGS, START_MS, Items, entries, ledgers, relations
from similar_oracle import absolute, naive_sums

from state.similar.changes import messages
from state.similar.contributions import contributions
from state.similar.ledger import newest
from state.similar.message import FLAGS, PROMPT, read_message
from state.similar.settings import BOUGHT_WITH, DAY_MS, VIEWED_WITH, SimilarSettings


def assert_sums(items: Items, relation, ledger_list, settings=SETTINGS) -> None:
    expected = naive_sums(relation, ledger_list, settings)
    assert {item: absolute(row) for item, row in items.rows.items()} == expected


class TestContributions:
    @given(st.data(), relations)
    def test_the_definition_equals_the_oracle(self, data, relation):
        ledger = data.draw(ledgers(relation))
        found = contributions(relation, ledger, SETTINGS)
        assert {item: (c.value, c.support, c.partners) for item, c in found.items()} == naive_sums(
            relation, [ledger], SETTINGS
        )

    def test_by_hand_viewed(self):
        # one session a b a c, near 64 40 10: a-b 64, b-c 64, a-c 40; the second a is nothing
        ledger = [(START_MS, 7, "a"), (START_MS, 7, "b"), (START_MS, 7, "a"), (START_MS, 7, "c")]
        found = contributions(VIEWED_WITH, ledger, SETTINGS)
        unit = found["a"].value // 64
        assert found["a"].partners == {"b": (64 * unit, 1), "c": (40 * unit, 1)}
        assert found["c"].partners == {"a": (40 * unit, 1), "b": (64 * unit, 1)}

    def test_by_hand_bought(self):
        # a and b in one order, c 30 days later (half counts), d a millisecond after that (too far from a and b)
        later_ms = START_MS + 30 * DAY_MS
        ledger = [(START_MS, 1, "a", True), (START_MS, 1, "b", True), (later_ms, 2, "c", True)]
        ledger += [(later_ms + 1, 3, "d", True), (later_ms + 2, 4, "e", False)]
        found = contributions(BOUGHT_WITH, ledger, SETTINGS)
        unit, later = found["a"].value // 64, found["c"].value // 64
        assert found["a"].partners == {"b": (64 * unit, 1), "c": (32 * later, 1)}
        assert set(found["d"].partners) == {"c"}
        assert "e" not in found


class TestMessages:
    @given(st.data(), relations)
    def test_from_nothing_they_are_the_contributions(self, data, relation):
        ledger = data.draw(ledgers(relation))
        items = Items()
        items.change(relation, (), ledger)
        assert_sums(items, relation, [ledger])

    @given(st.data(), relations)
    def test_from_any_ledger_to_any_other(self, data, relation):
        old, new = data.draw(ledgers(relation)), data.draw(ledgers(relation))
        items = Items()
        items.change(relation, (), old)
        items.change(relation, old, new)
        assert_sums(items, relation, [new])

    @given(st.data(), relations)
    def test_appended_entries_need_no_more_than_what_is_new(self, data, relation):
        ledger = data.draw(ledgers(relation))
        cut = data.draw(st.integers(0, len(ledger)))
        items = Items()
        items.change(relation, (), ledger[:cut])
        items.change(relation, ledger[:cut], ledger)
        assert_sums(items, relation, [ledger])

    @given(st.data(), relations, st.integers(1, 6))
    def test_a_ledger_that_slides(self, data, relation, limit):
        history = data.draw(ledgers(relation, max_size=25))
        items = Items()
        before = ()
        place = 0
        while place < len(history):
            place += data.draw(st.integers(1, 5))
            now, _ = newest(history[:place], limit)
            items.change(relation, before, now)
            before = now
            assert_sums(items, relation, [now])

    @given(st.data(), relations)
    def test_a_late_entry_at_any_place(self, data, relation):
        ledger = data.draw(ledgers(relation))
        late = data.draw(entries(relation))
        new, _ = newest(sorted([*ledger, late], key=lambda entry: entry[0]), SETTINGS.ledger_max)
        items = Items()
        items.change(relation, (), ledger)
        items.change(relation, ledger, new)
        assert_sums(items, relation, [new])

    @given(ledgers(BOUGHT_WITH), st.data())
    def test_a_refund_is_as_if_it_had_not_been_bought(self, ledger, data):
        returned = data.draw(st.sets(st.integers(0, 11)))
        after = tuple((*entry[:3], entry[3] and place not in returned) for place, entry in enumerate(ledger))
        items, never = Items(), Items()
        items.change(BOUGHT_WITH, (), ledger)
        items.change(BOUGHT_WITH, ledger, after)
        never.change(BOUGHT_WITH, (), [entry for entry in after if entry[3]])
        assert items.packed() == never.packed()

    @given(st.data(), relations)
    def test_equal_ledgers_send_nothing(self, data, relation):
        ledger = data.draw(ledgers(relation))
        assert messages(relation, ledger, ledger, SETTINGS) == []

    @given(st.data(), relations)
    def test_a_message_says_nothing_of_what_stays(self, data, relation):
        old, new = data.draw(ledgers(relation)), data.draw(ledgers(relation))
        before, after = contributions(relation, old, SETTINGS), contributions(relation, new, SETTINGS)
        same = {item for item in before if before[item] == after.get(item)}
        assert same.isdisjoint(item for item, _ in messages(relation, old, new, SETTINGS))

    def test_a_product_that_goes_and_comes_back_as_it_was_is_not_told(self):
        """By a tie in time: what is taken out at the front of a session is added at its end."""
        swapped = [(START_MS, 1, "b"), (START_MS, 1, "a")]
        assert messages(VIEWED_WITH, swapped, swapped[::-1], SETTINGS) == []
        late = START_MS + 3 * 86_400_000
        old, new = [(START_MS, 0, "b"), (late, 0, "a")], [(late, 0, "a"), (late, 0, "b")]
        assert [item for item, _ in messages(VIEWED_WITH, old, new, SETTINGS)] == ["b"]

    def test_they_are_prompt_on_demand(self):
        ledger = [(START_MS, 1, "a"), (START_MS, 1, "b")]
        sent = messages(VIEWED_WITH, ledger, (), SETTINGS, prompt=True)
        assert [read_message(message)[FLAGS] for _, message in sent] == [PROMPT, PROMPT]

    def test_values_beyond_64_bits_travel_too(self):
        # 30 years of days: exponents 10,000 apart
        settings = SimilarSettings(bought_half_life_ms=DAY_MS, bought_span_ms=20_000 * DAY_MS)
        ledger = [(631_152_000_000, 1, "a", True), (START_MS, 2, "b", True)]
        items = Items()
        items.change(BOUGHT_WITH, (), ledger, settings)
        assert_sums(items, BOUGHT_WITH, [ledger], settings)
        items.change(BOUGHT_WITH, ledger, ledger[1:], settings)
        assert_sums(items, BOUGHT_WITH, [ledger[1:]], settings)

    @pytest.mark.parametrize("relation", [VIEWED_WITH, BOUGHT_WITH])
    def test_full_size_ledgers_of_fifty(self, relation):
        rng = random.Random(7)
        settings = SimilarSettings()
        items, now = Items(), ()
        for place in range(120):
            entry = (START_MS + place * 7_000_000, place // 7, f"p{rng.randrange(60)}")
            before = now
            now, _ = newest((*before, entry if relation == VIEWED_WITH else (*entry, rng.random() < 0.9)), 50)
            items.change(relation, before, now, settings)
        assert_sums(items, relation, [now], settings)


class TestManyCustomers:
    @given(st.data(), relations)
    def test_taking_one_out_leaves_no_trace(self, data, relation):
        others = data.draw(st.lists(ledgers(relation), max_size=3))
        one = data.draw(ledgers(relation))
        items, never = Items(), Items()
        for ledger in others:
            never.change(relation, (), ledger)
        for ledger in [*others[:1], one, *others[1:]]:
            items.change(relation, (), ledger)
        items.change(relation, one, ())
        assert items.packed() == never.packed()

    @given(st.data(), relations)
    def test_the_last_one_out_leaves_nothing(self, data, relation):
        ledger = data.draw(ledgers(relation))
        items = Items()
        items.change(relation, (), ledger)
        items.change(relation, ledger, ())
        assert items.rows == {}

    @given(st.data(), relations)
    def test_any_order_of_messages_gives_equal_bytes(self, data, relation):
        sent = []
        for _ in range(data.draw(st.integers(1, 3))):
            history = data.draw(st.lists(ledgers(relation), max_size=4))
            for old, new in zip([(), *history], history, strict=False):
                sent += messages(relation, old, new, SETTINGS)
        items, other = Items(), Items()
        items.receive(sent)
        other.receive(data.draw(st.permutations(sent)))
        assert items.packed() == other.packed()
