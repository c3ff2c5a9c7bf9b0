"""Random ledgers, and items that receive messages."""

from collections.abc import Iterable

from hypothesis import strategies as st

from state.similar.changes import messages
from state.similar.message import read_message
from state.similar.row import ItemRow
from state.similar.settings import BOUGHT_WITH, DAY_MS, VIEWED_WITH, SimilarSettings

SETTINGS = SimilarSettings(near=(64, 40, 10), ledger_max=12, viewed_shrink=2, bought_shrink=5)
START_MS = 1_600_000_000_000

relations = st.sampled_from([VIEWED_WITH, BOUGHT_WITH])
products = st.sampled_from(["a", "b", "c", "d", "e", "é", "g-10"])
# mostly within a few half-lives, now and then from another age; few distinct values, so that ties happen
times_ms = st.one_of(
    st.integers(0, 40).map(lambda step: START_MS + step * DAY_MS * 3),
    st.integers(0, 20).map(lambda step: START_MS + step),
    st.integers(631_152_000_000, START_MS),
)
keys = st.integers(0, 3)


def entries(relation):
    """One entry of a ledger."""
    if relation == VIEWED_WITH:
        return st.tuples(times_ms, keys, products)
    return st.tuples(times_ms, keys, products, st.booleans())


def ledgers(relation, max_size: int = 12):
    """A ledger in event order; the event id is not in it, so ties stay in any order."""
    return st.lists(entries(relation), max_size=max_size).map(lambda ledger: tuple(sorted(ledger, key=lambda e: e[0])))


class Items:
    """All items of a relation, applying messages as they come."""

    def __init__(self) -> None:
        self.rows: dict[str, ItemRow] = {}

    def receive(self, sent: Iterable[tuple[str, bytes]]) -> None:
        for item, message in sent:
            row = self.rows.setdefault(item, ItemRow())
            row.apply(read_message(message))
            if row.is_empty:
                del self.rows[item]

    def change(self, relation, old, new, settings: SimilarSettings = SETTINGS) -> None:
        self.receive(messages(relation, old, new, settings))

    def packed(self) -> dict[str, bytes]:
        return {item: row.pack() for item, row in self.rows.items()}
