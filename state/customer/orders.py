"""The order book: orders, what was taken back of them, exact sliding revenue, lifetime totals.

A refund is the order undone: it changes the order's entry, so every window that holds the order sees it at the order's
time. A refund of an order that is not known (an orphan) counts at its own time until the order appears.

Order record:  [time_ms, order_id, amount_cents, lines, refunds]
Order line:    [product_id, quantity, price_cents | None]
Refund record: [time_ms, event_id, amount_cents | None, lines | None]; None and None: all that is left
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from msgspec import Raw

from state.chunks import ChunkStore, RecordColumn
from state.customer.counts import NEVER_MS, WINDOWS_MS
from state.packing import part

TIME, ORDER_ID, AMOUNT, LINES, REFUNDS = range(5)
REFUND_TIME, REFUND_EVENT, REFUND_AMOUNT, REFUND_LINES = range(4)
ORDERS_PER_CHUNK = 64

Line = tuple[str, int, int | None]


class Standing:
    """What is left of an order after its refunds."""

    __slots__ = ("left_cents", "returned", "whole")

    def __init__(self, order: list[Any]) -> None:
        self.left_cents: int = order[AMOUNT]
        self.returned: dict[str, int] | None = None  # product -> units taken back
        self.whole = False  # wholly refunded
        for refund in order[REFUNDS]:
            self._take(order, refund)

    def _take(self, order: list[Any], refund: list[Any]) -> None:
        lines = refund[REFUND_LINES]
        if lines is None and refund[REFUND_AMOUNT] is None:
            self.left_cents = 0
            self.whole = True
            return
        cents = refund[REFUND_AMOUNT]
        if lines is not None:
            value = self._return_units(order, lines)
            cents = value if cents is None else cents
        taken = min(cents, self.left_cents)
        self.left_cents -= taken
        if taken > 0 and self.left_cents == 0:
            self.whole = True

    def _return_units(self, order: list[Any], lines: list[Any]) -> int:
        """Take units back; returns their value in cents."""
        returned = self.returned = self.returned or {}
        bought: dict[str, int] = {}
        prices: dict[str, int] = {}
        for product, quantity, price in order[LINES]:
            bought[product] = bought.get(product, 0) + quantity
            if price is not None:
                prices.setdefault(product, price)
        value = 0
        for product, quantity, price in lines:
            # units and money are clamped each on their own: a line that takes back too many units is still paid for
            value += quantity * (price if price is not None else prices.get(product, 0))
            if product in bought:
                returned[product] = min(bought[product], returned.get(product, 0) + quantity)
        if bought and all(returned.get(product, 0) >= units for product, units in bought.items()):
            self.whole = True
        return value

    def has(self, product: str, order: list[Any]) -> bool:
        """Whether any unit of `product` is left."""
        if self.whole:
            return False
        if self.returned is None or product not in self.returned:
            return True
        return bool(self.returned[product] < sum(quantity for name, quantity, _ in order[LINES] if name == product))


class OrderBook:
    """All orders of a customer within the order memory, in event order."""

    __slots__ = (
        "by_id", "column", "counts", "dropped_newest_ms", "dropped_oldest_ms", "heads", "memory_ms",
        "newest_ms", "orphans", "revenues", "saved", "standings", "total_cents", "total_count",
    )  # fmt: skip

    def __init__(self, number: int, memory_ms: int) -> None:
        self.memory_ms = memory_ms
        self.column = RecordColumn(number, ORDERS_PER_CHUNK)
        self._reset()

    def _reset(self) -> None:
        self.standings: list[Standing] = []  # beside column.values
        self.by_id: dict[str, int] = {}
        self.orphans: list[list[Any]] = []  # [refund record, order_id], by refund time
        self.heads = [0, 0, 0, 0, 0]
        self.counts = [0, 0, 0, 0, 0]
        self.revenues = [0, 0, 0, 0, 0]  # without orphans
        self.total_count = 0
        self.total_cents = 0
        self.newest_ms: int | None = None  # newest order that is not wholly refunded
        self.dropped_oldest_ms: int | None = None
        self.dropped_newest_ms: int | None = None
        self.saved: Raw | None = None  # packed, until something changes

    # -- events ---------------------------------------------------------------------------------------------------

    def order(self, time_ms: int, order_id: str, amount_cents: int, lines: list[Line]) -> bool:
        """Enter an order; False if its id is known already (then nothing changes)."""
        self.saved = None
        known = self.by_id.get(order_id)
        if known is not None and self._remembered(known, time_ms):
            return False
        refunds = [orphan[0] for orphan in self.orphans if orphan[1] == order_id] if self.orphans else []
        if refunds:
            self.orphans = [orphan for orphan in self.orphans if orphan[1] != order_id]
            self.total_cents += sum(orphan_cents(refund) for refund in refunds)
        record = [time_ms, order_id, amount_cents, lines, refunds]
        self.by_id[order_id] = self.column.end
        self.column.append(record)
        standing = Standing(record)
        self.standings.append(standing)
        self._count(self.column.end - 1, standing.left_cents, 0 if standing.whole else 1)
        if not standing.whole:
            self.newest_ms = time_ms
        return True

    def refund(self, time_ms: int, event_id: str, order_id: str, amount_cents: int | None, lines: Any) -> bool:
        """Take (part of) an order back; False if the order is not known."""
        self.saved = None
        refund = [time_ms, event_id, amount_cents, lines]
        index = self.by_id.get(order_id)
        if index is None or not self._remembered(index, time_ms):
            self.orphans.append([refund, order_id])
            self.total_cents -= orphan_cents(refund)
            return False
        self.column.values[index - self.column.first][REFUNDS].append(refund)
        self.column.touch(index)
        self._restand(index)
        return True

    def _remembered(self, index: int, now_ms: int) -> bool:
        at = index - self.column.first
        return at >= 0 and now_ms - int(self.column.values[at][TIME]) <= self.memory_ms

    def _restand(self, index: int) -> None:
        """Work out again what is left of an order, and pass the difference on to windows and totals."""
        at = index - self.column.first
        before, after = self.standings[at], Standing(self.column.values[at])
        self.standings[at] = after
        self._count(index, after.left_cents - before.left_cents, before.whole - after.whole)
        if before.whole != after.whole:
            self.newest_ms = self._newest_live_ms()

    def _count(self, index: int, cents: int, orders: int) -> None:
        self.total_cents += cents
        self.total_count += orders
        for window in range(5):
            if index >= self.heads[window]:
                self.revenues[window] += cents
                self.counts[window] += orders

    # -- time -----------------------------------------------------------------------------------------------------

    def expire(self, now_ms: int) -> int:
        """Move the windows to `now_ms`; returns when the next order or orphan leaves a window."""
        self.saved = None
        orders, first, heads = self.column.values, self.column.first, self.heads
        size = len(orders)
        next_ms = NEVER_MS
        for window, width_ms in enumerate(WINDOWS_MS):
            head = heads[window] - first
            limit_ms = now_ms - width_ms
            while head < size and orders[head][TIME] <= limit_ms:
                standing = self.standings[head]
                self.revenues[window] -= standing.left_cents
                self.counts[window] -= not standing.whole
                head += 1
            heads[window] = head + first
            if head < size and orders[head][TIME] + width_ms < next_ms:
                next_ms = orders[head][TIME] + width_ms
        if self.orphans:
            leaving = [o[0][REFUND_TIME] + width for o in self.orphans for width in WINDOWS_MS]
            next_ms = min([next_ms, *(at_ms for at_ms in leaving if at_ms > now_ms)])
        return next_ms

    def windows(self) -> tuple[list[int], list[int], list[int], Raw | None]:
        """All that `expire` changes, for `set_windows`."""
        return self.heads[:], self.counts[:], self.revenues[:], self.saved

    def set_windows(self, windows: tuple[list[int], list[int], list[int], Raw | None]) -> None:
        """Move the windows back to where they stood."""
        self.heads, self.counts, self.revenues, self.saved = windows

    def revenue_cents(self, window: int, now_ms: int) -> int:
        """Net revenue in a window, as of `now_ms` = the time of the last `expire`."""
        if not self.orphans:
            return self.revenues[window]
        after_ms = now_ms - WINDOWS_MS[window]
        return self.revenues[window] - sum(orphan_cents(o[0]) for o in self.orphans if o[0][REFUND_TIME] > after_ms)

    def count_falls_below(self, threshold: int, window: int) -> int:
        """When passing time alone takes the number of orders below `threshold`."""
        if threshold <= 0 or self.counts[window] < threshold:
            return NEVER_MS
        missing = threshold  # from the newest on, so that the cost does not grow with the orders in the window
        for at in range(len(self.standings) - 1, -1, -1):
            if not self.standings[at].whole:
                missing -= 1
                if not missing:
                    return int(self.column.values[at][TIME]) + WINDOWS_MS[window]
        return NEVER_MS

    def revenue_crosses(self, threshold_cents: int, window: int, now_ms: int) -> int:
        """When passing time alone changes whether the window's revenue is at least `threshold_cents`."""
        width_ms, first = WINDOWS_MS[window], self.column.first
        if not self.orphans:
            return self._revenue_falls_below(threshold_cents, window)
        steps = [
            (int(self.column.values[index - first][TIME]), self.standings[index - first].left_cents)
            for index in range(self.heads[window], self.column.end)
        ]  # fmt: skip
        steps += [(o[0][REFUND_TIME], -orphan_cents(o[0])) for o in self.orphans]
        steps = sorted(step for step in steps if step[0] > now_ms - width_ms)
        left_cents = self.revenue_cents(window, now_ms)
        above = left_cents >= threshold_cents
        for at, (time_ms, cents) in enumerate(steps):
            left_cents -= cents
            last_of_ms = at + 1 == len(steps) or steps[at + 1][0] != time_ms
            if last_of_ms and (left_cents >= threshold_cents) != above:
                return time_ms + width_ms
        return NEVER_MS

    def _revenue_falls_below(self, threshold_cents: int, window: int) -> int:
        """The same without orphans: then revenue can only fall, and the newest orders say when."""
        if threshold_cents <= 0 or self.revenues[window] < threshold_cents:
            return NEVER_MS
        missing_cents = threshold_cents
        for at in range(len(self.standings) - 1, -1, -1):
            missing_cents -= self.standings[at].left_cents
            if missing_cents <= 0:
                return int(self.column.values[at][TIME]) + WINDOWS_MS[window]
        return NEVER_MS

    # -- lifetime -------------------------------------------------------------------------------------------------

    def _newest_live_ms(self) -> int | None:
        for at in range(len(self.standings) - 1, -1, -1):
            if not self.standings[at].whole:
                return int(self.column.values[at][TIME])
        return self.dropped_newest_ms

    def interval_ms(self) -> int | None:
        """Mean time between orders that are not wholly refunded; None with fewer than two."""
        if self.total_count < 2 or self.newest_ms is None:
            return None
        oldest_ms = self.dropped_oldest_ms
        if oldest_ms is None:
            oldest_ms = next(
                order[TIME] for order, s in zip(self.column.values, self.standings, strict=True) if not s.whole
            )
        return int(self.newest_ms - oldest_ms) // (self.total_count - 1)

    def newest_products(self, limit: int) -> list[tuple[int, int, str, bool]]:
        """The newest `limit` (order time, order index, product, still bought) entries, oldest first."""
        found: list[tuple[int, int, str, bool]] = []
        for at in range(len(self.standings) - 1, -1, -1):
            order, standing = self.column.values[at], self.standings[at]
            products = sorted({line[0] for line in order[LINES]}, reverse=True)
            index = at + self.column.first
            found += [(order[TIME], index, name, standing.has(name, order)) for name in products[: limit - len(found)]]
            if len(found) >= limit:
                break
        found.reverse()
        return found

    def kept_between(self, from_ms: int, until_ms: int) -> Iterator[int]:
        """What is left, in cents, of each order in [from_ms, until_ms) that are not wholly taken back, newest first."""
        for at in range(len(self.standings) - 1, -1, -1):
            time_ms, standing = self.column.values[at][TIME], self.standings[at]
            if time_ms < from_ms:
                return
            if time_ms < until_ms and not standing.whole:
                yield standing.left_cents

    # -- undo, bounds, packing --------------------------------------------------------------------------------------

    def rewind(self, now_ms: int) -> None:
        """Forget orders and refunds after `now_ms` and stand again as of then."""
        self.saved = None
        orders, first = self.column.values, self.column.first
        end = bisect_right(orders, now_ms, key=lambda order: order[TIME])
        self.orphans = [orphan for orphan in self.orphans if orphan[0][REFUND_TIME] <= now_ms]
        for order in orders[end:]:
            self.orphans += [[refund, order[ORDER_ID]] for refund in order[REFUNDS] if refund[REFUND_TIME] <= now_ms]
        self.orphans.sort(key=lambda orphan: (orphan[0][REFUND_TIME], orphan[0][REFUND_EVENT]))
        if end < len(orders):
            self.column.truncate(first + end)
            del self.standings[end:]
            # anew: an id that was used again stands for its older order again
            self.by_id = {order[ORDER_ID]: first + at for at, order in enumerate(self.column.values)}
        for at, order in enumerate(self.column.values):
            if order[REFUNDS] and order[REFUNDS][-1][REFUND_TIME] > now_ms:
                order[REFUNDS] = [refund for refund in order[REFUNDS] if refund[REFUND_TIME] <= now_ms]
                self.column.touch(at + first)
                self.standings[at] = Standing(order)
        self._recount(now_ms)

    def _recount(self, now_ms: int) -> None:
        """Windows and totals from the orders themselves; what fell out of the memory is kept as it was."""
        orders, first = self.column.values, self.column.first
        self.heads = [bisect_right(orders, now_ms - width, key=lambda o: o[TIME]) + first for width in WINDOWS_MS]
        self.revenues = [sum(s.left_cents for s in self.standings[head - first :]) for head in self.heads]
        self.counts = [sum(not s.whole for s in self.standings[head - first :]) for head in self.heads]
        self.newest_ms = self._newest_live_ms()

    def snapshot(self) -> list[Any]:
        return [self.total_count, self.total_cents]

    def restore_totals(self, snapshot: list[Any]) -> None:
        self.total_count, self.total_cents = snapshot
        self.saved = None

    def forget(self, before_ms: int) -> None:
        """Drop orders too old to be refunded, `before_ms` being the oldest moment to which one may rewind."""
        limit_ms = before_ms - max(self.memory_ms, WINDOWS_MS[-1]) - 1
        self.saved = None
        orders = self.column.values
        if orders and orders[0][TIME] <= limit_ms:
            gone = bisect_right(orders, limit_ms, key=lambda order: order[TIME])
            for order, standing in zip(orders[:gone], self.standings[:gone], strict=True):
                if self.by_id.get(order[ORDER_ID], NEVER_MS) < self.column.first + gone:
                    del self.by_id[order[ORDER_ID]]
                if not standing.whole:
                    self.dropped_oldest_ms = order[TIME] if self.dropped_oldest_ms is None else self.dropped_oldest_ms
                    self.dropped_newest_ms = order[TIME]
            del self.standings[:gone]
            self.column.drop_before(self.column.first + gone)
        if self.orphans and self.orphans[0][0][REFUND_TIME] <= limit_ms:
            self.orphans = [orphan for orphan in self.orphans if orphan[0][REFUND_TIME] > limit_ms]

    def save(self, store: ChunkStore) -> Raw:
        if self.saved is None:
            self.saved = part([
                self.column.save(store), self.orphans, self.heads, self.counts, self.revenues, self.total_count,
                self.total_cents, self.newest_ms, self.dropped_oldest_ms, self.dropped_newest_ms,
            ])  # fmt: skip
        return self.saved

    def load(self, packed: list[Any], store: ChunkStore) -> None:
        (
            column, self.orphans, self.heads, self.counts, self.revenues, self.total_count,
            self.total_cents, self.newest_ms, self.dropped_oldest_ms, self.dropped_newest_ms,
        ) = packed  # fmt: skip
        self.column.load(column, store)
        self.standings = [Standing(order) for order in self.column.values]
        first = self.column.first
        self.by_id = {order[ORDER_ID]: first + at for at, order in enumerate(self.column.values)}

    def clear(self, store: ChunkStore) -> None:
        self.column.clear(store)
        self._reset()

    def __iter__(self) -> Iterator[tuple[list[Any], Standing]]:
        return zip(self.column.values, self.standings, strict=True)


def orphan_cents(refund: list[Any]) -> int:
    """What a refund takes out at its own time while its order is unknown."""
    if refund[REFUND_AMOUNT] is not None:
        return int(refund[REFUND_AMOUNT])
    return sum(quantity * price for _, quantity, price in refund[REFUND_LINES] or () if price is not None)
