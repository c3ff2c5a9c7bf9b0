"""The change of the viewed-with contributions from one ledger to another."""

from collections.abc import Container, Sequence
from typing import TypeAlias

from state.similar.ledger import Viewed
from state.similar.message import SUPPORT, VALUE, VERSION, Fields, add_up
from state.similar.settings import FULL, SimilarSettings
from state.similar.weights import weight

Seen: TypeAlias = list[tuple[str, int]]
"""The distinct products of a session with the time of the first view of each, in that order."""
Plan: TypeAlias = tuple[Seen, int, int]
"""Products; how many at the front to take out; how many are old. The rest is to be added."""


def viewed_changes(old: Sequence[Viewed], new: Sequence[Viewed], settings: SimilarSettings) -> dict[str, Fields]:
    """By item, the message that leads from the contributions of `old` to those of `new`."""
    touched = _touched(old, new)
    before = _first_views(old, touched) if old else {}
    after = _first_views(new, touched)
    plans: list[Plan] = []
    overlaps = False
    for session in touched:
        was, is_now = list(before.get(session, {}).items()), list(after.get(session, {}).items())
        if was != is_now:
            plan = _slid(was, is_now)
            if plan is None:
                plan = (was + is_now, len(was), len(was))
                overlaps = True
            elif plan[1] and _comes_back(plan):
                overlaps = True  # a product at both ends: what is taken out and added may be the same
            plans.append(plan)
    rows: dict[str, Fields] = {}
    if plans:
        half_life_ms = settings.viewed_half_life_ms
        base = min(weight(_oldest_ms(plan), half_life_ms)[1] for plan in plans)
        for seen, gone, known in plans:
            _take_out(rows, seen, gone, known, base, settings)
            _add(rows, seen, gone, known, base, settings)
    if overlaps or (len(plans) > 1 and any(gone for _, gone, _ in plans)):
        rows = {item: short for item, fields in rows.items() if (short := add_up(fields)) is not None}
    return rows


def _touched(old: Sequence[Viewed], new: Sequence[Viewed]) -> dict[int, None]:
    """The sessions in which the ledgers may differ, in order of first appearance."""
    if old and new:
        try:
            gone = old.index(new[0])
        except ValueError:
            gone = len(old)
        kept = len(old) - gone
        if old[gone:] == new[:kept]:
            return dict.fromkeys([entry[1] for entry in (*old[:gone], *new[kept:])])
    return dict.fromkeys([entry[1] for entry in (*old, *new)])


def _first_views(ledger: Sequence[Viewed], sessions: Container[int]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for time_ms, session, product in ledger:
        if session in sessions:
            seen = found.get(session)
            if seen is None:
                found[session] = {product: time_ms}
            elif product not in seen:
                seen[product] = time_ms
    return found


def _slid(was: Seen, is_now: Seen) -> Plan | None:
    """The plan if the session only lost products at its front and gained some at its end."""
    gone = len(was)
    if was and is_now:
        if is_now[0] not in was:
            return None
        gone = was.index(is_now[0])
    kept = len(was) - gone
    if was[gone:] != is_now[:kept]:
        return None
    return was + is_now[kept:], gone, len(was)


def _comes_back(plan: Plan) -> bool:
    """Whether a product that goes at the front comes again at the end."""
    seen, gone, known = plan
    added = {product for product, _ in seen[known:]}
    return any(product in added for product, _ in seen[:gone])


def _oldest_ms(plan: Plan) -> int:
    """The oldest time that has a part in what changes."""
    seen, gone, known = plan
    times = [seen[0][1]] if gone else []
    if known < len(seen):
        times.append(seen[known][1])
    return min(times)


def _take_out(rows: dict[str, Fields], seen: Seen, gone: int, known: int, base: int, settings: SimilarSettings) -> None:
    """The first `gone` products, and their pairs with the old ones."""
    near = settings.near
    for i in range(gone):
        a, a_ms = seen[i]
        row = _row(rows, a, base)
        mantissa, exponent = weight(a_ms, settings.viewed_half_life_ms)
        row[VALUE] -= FULL * mantissa << (exponent - base)
        row[SUPPORT] -= 1
        for distance, (b, b_ms) in enumerate(seen[i + 1 : min(i + 1 + len(near), known)]):
            mantissa, exponent = weight(b_ms, settings.viewed_half_life_ms)
            value = -(near[distance] * mantissa << (exponent - base))
            row += (b, value, -1)
            paired = _row(rows, b, base)
            paired += (a, value, -1)


def _add(rows: dict[str, Fields], seen: Seen, gone: int, known: int, base: int, settings: SimilarSettings) -> None:
    """The products after the first `known`, and their pairs with those before them that stay."""
    near = settings.near
    for j in range(known, len(seen)):
        b, b_ms = seen[j]
        mantissa, exponent = weight(b_ms, settings.viewed_half_life_ms)
        mantissa <<= exponent - base
        row = rows.get(b)
        if row is None:
            row = rows[b] = [VERSION, 0, base, 0, 0]
        row[VALUE] += FULL * mantissa
        row[SUPPORT] += 1
        first = max(gone, j - len(near))
        distance = j - first
        for a, _ in seen[first:j]:
            distance -= 1
            value = near[distance] * mantissa
            row += (a, value, 1)
            paired = rows.get(a)
            if paired is None:
                paired = rows[a] = [VERSION, 0, base, 0, 0]
            paired += (b, value, 1)


def _row(rows: dict[str, Fields], item: str, base: int) -> Fields:
    row = rows.get(item)
    if row is None:
        row = rows[item] = [VERSION, 0, base, 0, 0]
    return row
