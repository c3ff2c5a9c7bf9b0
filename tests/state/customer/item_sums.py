"""What the items must have been told in all, by the batch oracle of similar items."""

from collections import defaultdict
from collections.abc import Iterable

from oracle.similar import NEAR, batch_sums

from state.similar.settings import SimilarSettings

SIMILAR = SimilarSettings(near=NEAR)
"""The settings that the oracle computes with."""
Rows = dict[str, dict[str, tuple[int, int]]]
"""relation|item to partner ("": the item itself) to (value, support)."""


def expected_items(lines: Iterable[bytes], as_of_ms: int) -> Rows:
    """From accepted lines, in any order, in absolute integers."""
    rows: Rows = defaultdict(dict)
    for relation, sums in batch_sums(lines, as_of_ms).items():
        for item, total in sums.totals.items():
            rows[f"{relation}|{item}"][""] = (total, 0)
        for (one, other), value in sums.values.items():
            support = sums.supports[one, other]
            rows[f"{relation}|{one}"][other] = rows[f"{relation}|{other}"][one] = (value, support)
    return dict(rows)


def without_own_support(rows: Rows) -> Rows:
    """The oracle does not count how often an item itself was seen."""
    return {
        key: {partner: (value, support if partner else 0) for partner, (value, support) in row.items()}
        for key, row in rows.items()
    }
