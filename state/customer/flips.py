"""When passing time alone can next change the answer of a rule: to the millisecond, without an event.

An atom (a feature and a threshold) turns over at a moment that can be told in advance: a count as its n-th newest
entry leaves the window, an age as it reaches the threshold, a decayed score by its half-life. From all atoms of a rule
set one Python function is written, because it runs at every event: it looks at the values that were just read, and of
several thresholds of one feature only at the one that comes first. What can move nobody, given the segments that the
customer is in, is left out; and who is outside of a segment is looked at when the last condition comes true.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil, inf, log2
from typing import Any

from state.customer.counts import NEVER_MS, WINDOW_DAYS, WINDOWS_MS
from state.customer.features import Values
from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS, Fold
from state.rules.atoms import Atom, Bearing
from state.rules.entries import Entry
from state.rules.features import FEATURES, FeatureSpec

NextFlip = Callable[[Fold, int, Values, int], int]
"""(fold, now_ms, values as of now, mask of the segments the customer is in) to the first moment after now at which an
atom can turn over, or one shortly before it; NEVER_MS if none can."""


def next_flip_of(bearings: Mapping[Atom, Bearing], reads: Sequence[str], entries: Sequence[Entry] = ()) -> NextFlip:
    """The function for some atoms and entries; its values are aligned with `reads`, which has all their features.

    Raises:
        ValueError: an atom's feature is not in `reads`.
    """
    guards: dict[str, dict[Any, str]] = {}
    for atom, bearing in bearings.items():
        guards.setdefault(atom.feature, {})[atom.threshold] = _guard(bearing)
    lines = ["def next_flip(f, t, values, mask):", "    at = NEVER"]
    for feature, wanted in guards.items():
        lines.append(f"    v = values[{reads.index(feature)}]")
        keyword = "if"
        for condition, moment in _cases(FEATURES[feature], wanted):
            lines += [f"    {keyword} {condition}:", f"        x = {moment}", "        if x < at: at = x"]
            keyword = "elif" if _one_is_enough(FEATURES[feature]) else "if"
    for entry in entries:
        lines += _entry_lines(entry, reads)
    lines.append("    return at")
    names: dict[str, Any] = {"NEVER": NEVER_MS, "log2": log2, "oldest_order_leaves": oldest_order_leaves}
    # the text is built from the tables here and from numbers, never from what a user wrote
    exec(compile("\n".join(lines), "<flips>", "exec"), names)  # noqa: S102
    return names["next_flip"]  # type: ignore[no-any-return]


def _entry_lines(entry: Entry, reads: Sequence[str]) -> Iterator[str]:
    """Nobody enters before the last of what is awaited has turned."""
    if not entry.awaited:
        return
    tests = [f"~mask & {1 << entry.bit}"]
    for feature, op, value, as_written in entry.needs:
        known = f"values[{reads.index(feature)}]"
        test = (
            f"({known} is not None and {known} {op} {value!r})"
            if FEATURES[feature].optional
            else f"{known} {op} {value!r}"
        )
        tests.append(test if as_written else f"not ({test})")
    yield f"    if {' and '.join(tests)}:"
    yield "        x = 0"
    for atom in entry.awaited:
        yield f"        v = values[{reads.index(atom.feature)}]"
        for condition, moment in _cases(FEATURES[atom.feature], {atom.threshold: "True"}):
            yield f"        if {condition}:"
            yield f"            y = {moment}"
            yield "            if y > x: x = y"
    yield "        if 0 < x < at: at = x"


def _guard(bearing: Bearing) -> str:
    """Whether the flip can move somebody with the segments of `mask`."""
    outsiders, members = bearing
    if outsiders & members:
        return "True"
    tests = [f"mask & {members}"] * bool(members) + [f"~mask & {outsiders}"] * bool(outsiders)
    return f"({' or '.join(tests)})" if tests else "False"


def _one_is_enough(spec: FeatureSpec) -> bool:
    """Whether the first of the cases that holds is the earliest, too."""
    return spec.metric not in ("revenue", "session_ms")


def _cases(spec: FeatureSpec, guards: dict[Any, str]) -> Iterator[tuple[str, str]]:
    """(condition, moment) of each threshold, the earliest moment first where it can be told."""
    if spec.drift in ("count", "sum"):
        return _window_cases(str(spec.metric), WINDOW_DAYS.index(spec.window_days or 0), guards)
    if spec.drift == "age":
        return _age_cases(guards)
    if spec.drift == "decay":
        return _decay_cases(guards)
    return _cart_cases(guards)


def _window_cases(metric: str, window: int, guards: dict[Any, str]) -> Iterator[tuple[str, str]]:
    times = "f.sessions.starts.values" if metric.startswith("session") else f"f.{metric}.column.values"
    width_ms = WINDOWS_MS[window]
    threshold: Any
    # the more is asked for, the older is the entry whose leaving matters: the highest threshold that is met comes first
    for threshold in sorted(guards, key=_rank, reverse=True):
        guard = guards[threshold]
        least: int | None = None if threshold is None else ceil(threshold)
        if metric in ("orders", "revenue") and least is None:
            yield guard, f"oldest_order_leaves(f, t, {window})"
        elif metric == "revenue":  # may rise, too: a refund whose order is unknown leaves the window as well
            yield guard, f"f.orders.revenue_crosses({least}, {window}, t)"
        elif metric == "orders":
            yield f"v >= {least} and {guard}", f"f.orders.count_falls_below({least}, {window})"
        elif least is None:  # any change: when the oldest entry leaves
            entries = f"f.sessions.count({window})" if metric == "session_ms" else "v"
            yield f"v and {guard}", f"{times}[-{entries}] + {width_ms}"
        elif metric == "session_ms":
            yield f"v >= {least} and {guard}", f"f.sessions.length_falls_below({least}, {window})"
        else:
            yield f"v >= {least} and {guard}", f"{times}[-{least}] + {width_ms}"


def _rank(threshold: Any) -> Any:
    return inf if threshold is None else threshold


def _age_cases(guards: dict[Any, str]) -> Iterator[tuple[str, str]]:
    for threshold in sorted(guards):
        least_ms = ceil(threshold)
        yield f"v is not None and v < {least_ms} and {guards[threshold]}", f"t - v + {least_ms}"


def _decay_cases(guards: dict[Any, str]) -> Iterator[tuple[str, str]]:
    for threshold in sorted(guards, reverse=True):
        # rounded down, so never late; one look too early costs one more look
        half_lives = f"(log2(f.engagement) - {log2(threshold)!r})"
        moment = f"max(f.engagement_at_ms + int({ENGAGEMENT_HALF_LIFE_MS} * {half_lives}), t + 1)"
        yield f"v >= {float(threshold)!r} and {guards[threshold]}", moment


def _cart_cases(guards: dict[Any, str]) -> Iterator[tuple[str, str]]:
    """When the open cart counts as abandoned."""
    yield f"v is None and f.cart.units and {guards[None]}", "f.last_seen_ms + f.gap_ms"


def oldest_order_leaves(fold: Fold, now_ms: int, window: int) -> int:
    """When the window's oldest order, or refund without an order, leaves it, whatever it is worth."""
    book, width_ms = fold.orders, WINDOWS_MS[window]
    times = [orphan[0][0] for orphan in book.orphans if orphan[0][0] > now_ms - width_ms]
    if book.heads[window] < book.column.end:
        times.append(book.column.values[book.heads[window] - book.column.first][0])
    return min(times) + width_ms if times else NEVER_MS
