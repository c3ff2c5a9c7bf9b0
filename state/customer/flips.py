"""When passing time alone can next change the answer of a rule: to the millisecond, without an event.

An atom (a feature and a threshold) turns over at a moment that can be told in advance: a count as its n-th newest
entry leaves the window, an age as it reaches the threshold, a decayed score by its half-life. From all atoms of a rule
set one Python function is written, because it runs at every event: it looks at the values that were just read, and of
several thresholds of one feature only at the one that comes first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil, log2
from typing import Any

from state.customer.counts import NEVER_MS, WINDOW_DAYS, WINDOWS_MS
from state.customer.features import Values
from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS, Fold
from state.rules.atoms import Atom
from state.rules.features import FEATURES, FeatureSpec

NextFlip = Callable[[Fold, int, Values], int]
"""(fold, now_ms, values as of now) to the first moment after now at which an atom can turn over, or one shortly before
it; NEVER_MS if none can."""


def next_flip_of(atoms: Iterable[Atom], reads: Sequence[str]) -> NextFlip:
    """The function for some atoms; its values are aligned with `reads`, which has every feature of an atom.

    Raises:
        ValueError: an atom's feature is not in `reads`.
    """
    thresholds: dict[str, list[Any]] = {}
    for atom in atoms:
        thresholds.setdefault(atom.feature, []).append(atom.threshold)
    lines = ["def next_flip(f, t, values):", "    at = NEVER"]
    for feature, wanted in thresholds.items():
        lines.append(f"    v = values[{reads.index(feature)}]")
        lines += (f"    {line}" for line in _lines(FEATURES[feature], wanted))
    lines.append("    return at")
    names: dict[str, Any] = {"NEVER": NEVER_MS, "log2": log2, "oldest_order_leaves": oldest_order_leaves}
    # the text is built from the tables here and from numbers, never from what a user wrote
    exec(compile("\n".join(lines), "<flips>", "exec"), names)  # noqa: S102
    return names["next_flip"]  # type: ignore[no-any-return]


def _lines(spec: FeatureSpec, thresholds: list[Any]) -> Iterator[str]:
    if spec.drift in ("count", "sum"):
        return _window_lines(str(spec.metric), WINDOW_DAYS.index(spec.window_days or 0), thresholds)
    if spec.drift == "age":
        return _age_lines(sorted(ceil(threshold) for threshold in thresholds))
    if spec.drift == "decay":
        return _decay_lines(sorted((float(threshold) for threshold in thresholds), reverse=True))
    return _cart_lines()


def _window_lines(metric: str, window: int, thresholds: list[Any]) -> Iterator[str]:
    width_ms = WINDOWS_MS[window]
    if metric in ("orders", "revenue"):
        yield from _order_lines(metric, window, thresholds)
    elif None in thresholds:  # any change: when the oldest entry leaves
        times = "f.sessions.starts.values" if metric.startswith("session") else f"f.{metric}.column.values"
        entries = f"f.sessions.count({window})" if metric == "session_ms" else "v"
        yield from _at("if v:", f"{times}[-{entries}] + {width_ms}")
    elif metric == "session_ms":
        for threshold in thresholds:
            yield from _at(f"if v >= {ceil(threshold)}:", f"f.sessions.length_falls_below({ceil(threshold)}, {window})")
    else:
        times = "f.sessions.starts.values" if metric == "sessions" else f"f.{metric}.column.values"
        keyword = "if"
        # the more is asked for, the older is the entry whose leaving matters: the highest one that is met comes first
        for threshold in sorted((ceil(threshold) for threshold in thresholds), reverse=True):
            yield from _at(f"{keyword} v >= {threshold}:", f"{times}[-{threshold}] + {width_ms}")
            keyword = "elif"


def _order_lines(metric: str, window: int, thresholds: list[Any]) -> Iterator[str]:
    for threshold in thresholds:
        if threshold is None:
            yield from _at("if True:", f"oldest_order_leaves(f, t, {window})")
        elif metric == "revenue":  # may rise, too: a refund whose order is unknown leaves the window as well
            yield from _at("if True:", f"f.orders.revenue_crosses({ceil(threshold)}, {window}, t)")
        else:
            yield from _at(f"if v >= {ceil(threshold)}:", f"f.orders.count_falls_below({ceil(threshold)}, {window})")


def _age_lines(thresholds_ms: list[int]) -> Iterator[str]:
    yield "if v is None: pass"
    for threshold_ms in thresholds_ms:
        yield from _at(f"elif v < {threshold_ms}:", f"t - v + {threshold_ms}")


def _decay_lines(thresholds: list[float]) -> Iterator[str]:
    keyword = "if"
    for threshold in thresholds:
        # rounded down, so never late; one look too early costs one more look
        passed = f"f.engagement_at_ms + int({ENGAGEMENT_HALF_LIFE_MS} * log2(f.engagement / {threshold!r}))"
        yield from _at(f"{keyword} v >= {threshold!r}:", f"max({passed}, t + 1)")
        keyword = "elif"


def _cart_lines() -> Iterator[str]:
    """When the open cart counts as abandoned."""
    yield from _at("if v is None and f.cart.units:", "f.last_seen_ms + f.gap_ms")


def _at(condition: str, moment: str) -> Iterator[str]:
    yield condition
    yield f"    x = {moment}"
    yield "    if x < at: at = x"


def oldest_order_leaves(fold: Fold, now_ms: int, window: int) -> int:
    """When the window's oldest order, or refund without an order, leaves it, whatever it is worth."""
    book, width_ms = fold.orders, WINDOWS_MS[window]
    times = [orphan[0][0] for orphan in book.orphans if orphan[0][0] > now_ms - width_ms]
    if book.heads[window] < book.column.end:
        times.append(book.column.values[book.heads[window] - book.column.first][0])
    return min(times) + width_ms if times else NEVER_MS
