"""What the items must have been told in all, by the batch oracles of similar items and of clicks."""

from collections import defaultdict
from collections.abc import Iterable

from oracle.clicks import batch_clicks
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
    return dict(rows) | expected_clicks(lines, as_of_ms)


def expected_clicks(lines: Iterable[bytes], as_of_ms: int) -> Rows:
    """Of what was shown, and clicked of it."""
    clicks = batch_clicks(lines, as_of_ms)
    shown = {f"shown|{item}": {"": (value, clicks.shown_support[item])} for item, value in clicks.shown.items()}
    return shown | {
        f"clicked|{item}": {"": (value, clicks.clicked_support[item])} for item, value in clicks.clicked.items()
    }


def without_own_support(rows: Rows) -> Rows:
    """The oracle of similar items does not count how often an item itself was seen."""
    return {
        key: {
            partner: (value, support if partner or key.startswith(("shown|", "clicked|")) else 0)
            for partner, (value, support) in row.items()
        }
        for key, row in rows.items()
    }
