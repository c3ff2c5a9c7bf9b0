"""What the scores are computed from: features of a customer, by fixed transforms, as a short vector.

The transforms never change with the data, so a vector of last month can be learnt from today and weights mean the same
in every version. Counts, money and ages are heavy-tailed: their logarithms are taken, and divided so that most values
lie between 0 and 2. What is negative (revenue after refunds of unknown orders) keeps its sign.
An optional feature that is absent counts as 0, and an input of its own says so.
"""

from collections.abc import Callable, Mapping
from math import log1p
from typing import Any, Final

from state.population.score_packing import Vectors

DAY_MS: Final = 86_400_000

_COUNTS: Final = (
    "views_1d", "views_7d", "views_30d", "views_90d", "cart_adds_1d", "cart_adds_7d", "cart_adds_30d", "searches_7d",
    "wishlist_adds_30d", "sessions_7d", "sessions_30d", "sessions_90d", "orders_7d", "orders_30d", "orders_90d",
    "orders_total", "engagement",
)  # fmt: skip
_MONEY: Final = ("revenue_30d_cents", "revenue_total_cents", "average_order_cents")
_AGES: Final = ("recency_ms", "since_last_seen_ms", "since_first_seen_ms", "purchase_interval_ms")
_DERIVED: Final = (
    "bias", "cart_open", "cart_abandoned", "no_order", "no_interval", "overdue", "orders_per_session", "trend",
)  # fmt: skip
_LOGS: Final = (
    *((name, 1.0, 1 / 3) for name in _COUNTS),
    *((name, 1.0, 1 / 10) for name in _MONEY),
    *((name, 1 / DAY_MS, 1 / 3) for name in _AGES),
)
"""(feature, factor before the logarithm, factor after it)."""

INPUTS: Final = (*(name for name, _, _ in _LOGS), *_DERIVED)
"""The names of the inputs, in their order. `bias` is 1; `overdue`: time since the newest order beside the usual time
between orders; `trend`: how much of the month's sessions were in its last week."""
_LIMIT: Final = 20.0  # of a ratio: beyond it, more makes no difference

vectors: Final = Vectors(len(INPUTS))


class ScoreInputError(ValueError):
    """A feature's value is no number; the message names the feature."""


def score_inputs(values: Mapping[str, Any]) -> list[float]:
    """The vector, as many numbers as INPUTS has names, all of them finite.

    Args:
        values: features by name (state.rules.features). None, NaN, an infinity and a missing name mean absent.

    Raises:
        ScoreInputError: a value is no number, or too large for a float.
    """
    get = values.get
    inputs: list[float] = []
    name = ""
    try:
        for name, before, after in _LOGS:
            value = get(name)
            if not value or value - value != 0:  # NaN and infinities alone differ from themselves
                inputs.append(0.0)
            elif value > 0:
                inputs.append(after * log1p(value * before))
            else:
                inputs.append(-after * log1p(-value * before))
        inputs += _derived(get)
    except (TypeError, OverflowError) as error:
        raise ScoreInputError(f"{name}: {values.get(name)!r:.80} is no number that can be scored") from error
    return inputs


def _derived(get: Callable[[str], Any]) -> tuple[float, ...]:
    recency_ms, interval_ms = _number(get("recency_ms")), _number(get("purchase_interval_ms"))
    return (
        1.0,
        1.0 if _number(get("cart_open")) else 0.0,
        0.0 if _number(get("cart_abandoned_at_ms")) is None else 1.0,
        1.0 if recency_ms is None else 0.0,
        1.0 if interval_ms is None else 0.0,
        _ratio(recency_ms, interval_ms),
        _ratio(_number(get("orders_90d")), _number(get("sessions_90d"))),
        _ratio(_number(get("sessions_7d")), _number(get("sessions_30d"))),
    )


def _number(value: Any) -> Any:
    """The value, or None if it is no finite number."""
    return None if value is None or value - value != 0 else value


def _ratio(part: float | None, whole: float | None) -> float:
    """log(1 + part / whole), between 0 and about 3; 0 if either is absent, or is not above 0."""
    if not part or not whole:
        return 0.0
    ratio = part / whole
    return log1p(min(ratio, _LIMIT)) if ratio > 0 else 0.0
