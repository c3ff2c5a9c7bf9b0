"""Exact sliding counts: how many times lie in (T − W, T], for five windows at once.

Per window only the index of its oldest entry is kept, so an event costs the same at 10 and at 100,000 entries: each
entry is passed once by each of the five pointers.
"""

from bisect import bisect_right

from state.chunks import Int64Column

DAY_MS = 86_400_000
WINDOW_DAYS = (1, 7, 14, 30, 90)
WINDOWS_MS = tuple(days * DAY_MS for days in WINDOW_DAYS)
NEVER_MS = 1 << 62


class SlidingCount:
    """Sorted event times and, per window, the index of the oldest one that is still inside."""

    __slots__ = ("column", "heads")

    def __init__(self, number: int) -> None:
        self.column = Int64Column(number)
        self.heads = [0, 0, 0, 0, 0]

    def add(self, time_ms: int) -> None:
        self.column.append(time_ms)

    def count(self, window: int) -> int:
        """Entries in window number `window` as of the last `expire`."""
        return self.column.end - self.heads[window]

    def expire(self, now_ms: int) -> int:
        """Move the windows to `now_ms`; returns when the next entry leaves a window (NEVER_MS: none will)."""
        values, first, heads = self.column.values, self.column.first, self.heads
        size = len(values)
        next_ms = NEVER_MS
        for window, width_ms in enumerate(WINDOWS_MS):
            head = heads[window] - first
            limit_ms = now_ms - width_ms
            while head < size and values[head] <= limit_ms:
                head += 1
            heads[window] = head + first
            if head < size and values[head] + width_ms < next_ms:
                next_ms = values[head] + width_ms
        return next_ms

    def rewind(self, now_ms: int) -> None:
        """Forget what came after `now_ms` and stand again as of then."""
        column = self.column
        column.truncate(bisect_right(column.values, now_ms) + column.first)
        self.heads = [bisect_right(column.values, now_ms - width) + column.first for width in WINDOWS_MS]

    def forget(self, before_ms: int, kept_from: int = NEVER_MS) -> None:
        """Drop what no window can ask for again, `before_ms` being the oldest moment to which one may rewind.

        Entries from index `kept_from` on are kept all the same.
        """
        values = self.column.values
        if values and values[0] <= before_ms - WINDOWS_MS[-1]:
            settled = bisect_right(values, before_ms - WINDOWS_MS[-1]) + self.column.first
            self.column.drop_before(min(settled, kept_from))
