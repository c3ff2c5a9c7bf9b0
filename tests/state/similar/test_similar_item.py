"""Items and publisher together, with stores of plain Python: customers come, change and go."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from similar_ledgers import SETTINGS, START_MS, ledgers, relations
from similar_oracle import naive_sums

from state.similar.changes import messages
from state.similar.item import ItemStep
from state.similar.publish import Publisher, item_key
from state.similar.ranking import Listed
from state.similar.score import Neighbour, score_millionths
from state.similar.settings import DAY_MS, VIEWED_WITH, SimilarSettings


class Store:
    """An `ItemStore` in memory."""

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.messages: list[bytes] = []

    def load(self):
        return self.value

    def save(self, packed):
        self.value = packed

    def clear(self):
        self.value = None

    def pending(self):
        return list(self.messages)

    def append(self, message):
        self.messages.append(message)

    def drop_pending(self):
        self.messages.clear()


class Shop:
    """Both steps, for one relation."""

    def __init__(self, relation, *, live: bool = True, cached: int = 100, settings=SETTINGS) -> None:
        self.relation, self.settings = relation, settings
        self.step = ItemStep(settings, live=live, cached=cached)
        self.publisher = Publisher(settings)
        self.stores: dict[str, Store] = {}
        self.totals: dict[str, bytes] = {}
        self.published: dict[str, bytes] = {}
        self.lists: dict[str, list[Listed]] = {}
        self.rows_sent = 0

    def change(self, old, new, *, prompt: bool = False) -> None:
        for item, message in messages(self.relation, old, new, self.settings, prompt=prompt):
            key = item_key(self.relation, item)
            self.send(item, self.step.on_message(key, message, self.stores.setdefault(key, Store())))

    def end(self) -> None:
        rows = []
        for key, store in self.stores.items():
            rows.append((key.partition("|")[2], self.step.on_end(key, store)))
        for item, emitted in rows:
            self.send(item, emitted)
        for item, state in list(self.published.items()):
            self.keep(item, self.publisher.final(self.relation, state, self.totals.get))

    def send(self, item, emitted) -> None:
        if emitted.total is not None:
            self.totals[self.publisher.on_packed_total(emitted.total)] = emitted.total
        if emitted.row is not None:
            self.rows_sent += 1
            self.keep(
                item, self.publisher.on_row(self.relation, self.published.get(item), emitted.row, self.totals.get)
            )

    def keep(self, item, step) -> None:
        state, written = step
        if state is None:
            self.published.pop(item, None)
        else:
            self.published[item] = state
        if written:
            self.lists[item] = written
        elif written is not None:
            del self.lists[item]

    def restart(self) -> None:
        """Only what is stored survives."""
        self.step = ItemStep(self.settings)
        self.publisher = Publisher(self.settings)


def batch_lists(relation, of_customers, settings=SETTINGS):
    """All lists from the naive sums."""
    sums = naive_sums(relation, of_customers, settings)
    lists = {}
    for item, (total, _, partners) in sums.items():
        scored = []
        for partner, (value, support) in partners.items():
            other = sums[partner][0]
            score = score_millionths((value, 0), support, (total, 0), (other, 0), settings.shrink(relation))
            if score:
                scored.append((-score, partner, support))
        if scored:
            best = sorted(scored)[: settings.neighbours_max]
            lists[item] = [Neighbour(partner, -score / 1e6, support) for score, partner, support in best]
    return lists


class TestShop:
    @given(st.data(), relations, st.booleans(), st.sampled_from([1, 3, 100]))
    def test_the_final_lists_are_those_of_a_batch_whatever_came_before(self, data, relation, live, cached):
        shop = Shop(relation, live=live, cached=cached)
        now = dict.fromkeys(range(3), ())
        for _ in range(data.draw(st.integers(1, 6))):
            customer, ledger = data.draw(st.integers(0, 2)), data.draw(ledgers(relation))
            shop.change(now[customer], ledger, prompt=data.draw(st.booleans()))
            now[customer] = ledger
            if data.draw(st.booleans()):
                shop.restart()
        shop.end()
        assert shop.lists == batch_lists(relation, now.values())

    @given(st.data(), relations)
    def test_once_all_customers_are_gone_nothing_is_stored(self, data, relation):
        shop = Shop(relation)
        of_customers = data.draw(st.lists(ledgers(relation), max_size=4))
        for ledger in of_customers:
            shop.change((), ledger)
        for ledger in of_customers:
            shop.change(ledger, (), prompt=True)
        assert shop.lists == {}
        assert shop.published == {}
        assert all(store.value is None and not store.messages for store in shop.stores.values())

    def test_a_prompt_erasure_shows_at_once_however_small(self):
        shop = Shop(VIEWED_WITH)
        for at in range(300):
            shop.change((), ((START_MS + at, 1, "a"), (START_MS + at, 1, "b")))
        shop.change((), ((START_MS, 3, "secret"),))
        secret = ((START_MS, 2, "a"), (START_MS, 2, "secret"))
        shop.change((), secret, prompt=True)
        assert "secret" in shop.lists
        assert [item for item, _, _ in shop.lists["a"]] == ["b", "secret"]
        shop.change(secret, (), prompt=True)
        assert "secret" not in shop.lists
        assert [item for item, _, _ in shop.lists["a"]] == ["b"]

    def test_many_messages_send_few_rows_live_and_one_each_otherwise(self):
        settings = SimilarSettings()
        rng = random.Random(3)
        visits = [
            tuple((START_MS + at * DAY_MS // 50 + view, 1, f"p{rng.randrange(10)}") for view in range(4))
            for at in range(400)
        ]
        live, quiet = Shop(VIEWED_WITH, settings=settings), Shop(VIEWED_WITH, live=False, settings=settings)
        for visit in visits:
            live.change((), visit)
            quiet.change((), visit)
        quiet.end()
        assert live.rows_sent < 10 * 50  # of more than 10 * 120 messages
        assert quiet.rows_sent == 10
        live.end()
        assert live.lists == quiet.lists == batch_lists(VIEWED_WITH, visits, settings)

    def test_a_message_that_is_stored_with_the_row_does_not_wait_first(self):
        """Neither is there anything to drop, unless others waited."""
        shop, store = Shop(VIEWED_WITH), Store()
        done: list[str] = []
        store.append = lambda message: (done.append("append"), Store.append(store, message))  # type: ignore[method-assign]
        store.drop_pending = lambda: (done.append("drop"), Store.drop_pending(store))  # type: ignore[method-assign]
        shop.stores["viewed-with|a"] = store
        for at in range(9):
            shop.change((), ((START_MS + at, 1, "a"),))
        assert done == []
        shop.change((), ((START_MS + 9, 1, "a"),))
        assert done == ["append"]
        shop.change((), ((START_MS + 10, 1, "a"),))
        assert done == ["append", "drop"]

    @pytest.mark.parametrize("live", [True, False])
    def test_waiting_messages_stay_few(self, live):
        shop = Shop(VIEWED_WITH, live=live)
        for at in range(200):
            shop.change((), ((START_MS + at, 1, "a"), (START_MS + at, 1, f"b{at}")))
            assert len(shop.stores["viewed-with|a"].messages) < max(16, at / 8 + 1)
