"""Sessions: by the producer's id, else by a gap of silence; how many began in each window, and how long they were.

A session counts at its first event. Its length (last event − first event) grows while it lives, so the entry of a
living session is changed in place.
"""

from bisect import bisect_right
from typing import Any

from state.chunks import ChunkStore, Int64Column
from state.customer.counts import NEVER_MS, WINDOWS_MS

IDS_MAX = 64  # live producer ids remembered, the most recently active ones


class Sessions:
    """Starts and last events of sessions, and per window their number and summed length."""

    __slots__ = ("current", "gap_ms", "heads", "id_idle_ms", "ids", "lasts", "length_ms", "starts")

    def __init__(self, number: int, gap_ms: int, id_idle_ms: int) -> None:
        self.gap_ms, self.id_idle_ms = gap_ms, id_idle_ms
        self.starts = Int64Column(number)
        self.lasts = Int64Column(number + 1)
        self.heads = [0, 0, 0, 0, 0]
        self.length_ms = [0, 0, 0, 0, 0]
        self.current = -1  # the session of the newest event
        self.ids: dict[str, int] = {}

    def count(self, window: int) -> int:
        return self.starts.end - self.heads[window]

    def see(self, time_ms: int, session_id: str | None, previous_ms: int | None) -> int:
        """Put an event into its session; returns the session's index. `previous_ms`: the newest event before it."""
        if session_id is None:
            if previous_ms is not None and self.current >= 0 and time_ms - previous_ms <= self.gap_ms:
                self._extend(self.current, time_ms)
            else:
                self.current = self._start(time_ms)
            return self.current
        index = self.ids.pop(session_id, -1)
        if index >= self.lasts.first and time_ms - self.lasts.values[index - self.lasts.first] <= self.id_idle_ms:
            self._extend(index, time_ms)
        else:
            index = self._start(time_ms)
            if self.ids:
                self._prune_ids(time_ms)
        self.ids[session_id] = self.current = index  # re-inserted last: the dict is in order of activity
        return index

    def _start(self, time_ms: int) -> int:
        self.starts.append(time_ms)
        self.lasts.append(time_ms)
        return self.starts.end - 1

    def _extend(self, index: int, time_ms: int) -> None:
        at = index - self.lasts.first
        grown_ms = time_ms - self.lasts.values[at]
        if grown_ms:
            self.lasts.values[at] = time_ms
            self.lasts.touch(index)
            if index >= self.heads[0]:  # in the shortest window, so in all of them
                self.length_ms = [length_ms + grown_ms for length_ms in self.length_ms]
                return
            for window in range(5):
                if index >= self.heads[window]:
                    self.length_ms[window] += grown_ms

    def _prune_ids(self, time_ms: int) -> None:
        idle_before_ms = time_ms - self.id_idle_ms
        first, lasts = self.lasts.first, self.lasts.values
        live = [(key, at) for key, at in self.ids.items() if at >= first and lasts[at - first] >= idle_before_ms]
        self.ids = dict(live[-IDS_MAX + 1 :])

    def expire(self, now_ms: int) -> int:
        """Move the windows to `now_ms`; returns when the next session leaves a window."""
        starts, lasts, first, heads = self.starts.values, self.lasts.values, self.starts.first, self.heads
        size = len(starts)
        next_ms = NEVER_MS
        for window, width_ms in enumerate(WINDOWS_MS):
            head = heads[window] - first
            limit_ms = now_ms - width_ms
            while head < size and starts[head] <= limit_ms:
                self.length_ms[window] -= lasts[head] - starts[head]
                head += 1
            heads[window] = head + first
            if head < size and starts[head] + width_ms < next_ms:
                next_ms = starts[head] + width_ms
        return next_ms

    def windows(self) -> tuple[list[int], list[int]]:
        """All that `expire` changes, for `set_windows`."""
        return self.heads[:], self.length_ms[:]

    def set_windows(self, windows: tuple[list[int], list[int]]) -> None:
        """Move the windows back to where they stood."""
        self.heads, self.length_ms = windows

    def length_falls_below(self, threshold_ms: int, window: int) -> int:
        """When passing time alone takes the summed length below `threshold_ms`."""
        if threshold_ms <= 0 or self.length_ms[window] < threshold_ms:
            return NEVER_MS
        starts, lasts = self.starts.values, self.lasts.values
        missing_ms = threshold_ms  # from the newest on, so that the cost does not grow with the sessions in the window
        for at in range(len(starts) - 1, -1, -1):
            missing_ms -= lasts[at] - starts[at]
            if missing_ms <= 0:
                return int(starts[at]) + WINDOWS_MS[window]
        return NEVER_MS

    def snapshot(self) -> list[Any]:
        """What `rewind` needs beside the columns: the sessions that may still grow."""
        first = self.lasts.first
        current_last = self.lasts.values[self.current - first] if self.current >= first else 0
        ids = [[key, index, self.lasts.values[index - first]] for key, index in self.ids.items() if index >= first]
        return [self.current, current_last, ids]

    def rewind(self, now_ms: int, snapshot: list[Any]) -> None:
        self.current, current_last, ids = snapshot
        end = bisect_right(self.starts.values, now_ms) + self.starts.first
        self.starts.truncate(end)
        self.lasts.truncate(end)
        first = self.lasts.first
        for index, last_ms in [(self.current, current_last), *((index, last) for _, index, last in ids)]:
            if index >= first:
                self.lasts.values[index - first] = last_ms
                self.lasts.touch(index)
        self.ids = {key: index for key, index, _ in ids}
        self.heads = [bisect_right(self.starts.values, now_ms - width) + first for width in WINDOWS_MS]
        self.length_ms = [self._length_from(head) for head in self.heads]

    def _length_from(self, head: int) -> int:
        at = head - self.starts.first
        length_ms: int = sum(self.lasts.values[at:]) - sum(self.starts.values[at:])
        return length_ms

    def forget(self, before_ms: int) -> None:
        """Drop sessions that no window can ask for again and that cannot grow any more."""
        values = self.starts.values
        if not values or values[0] > before_ms - WINDOWS_MS[-1]:
            return
        index = bisect_right(values, before_ms - WINDOWS_MS[-1]) + self.starts.first
        first, lasts = self.lasts.first, self.lasts.values
        idle_ms = before_ms - self.id_idle_ms
        self.ids = {key: at for key, at in self.ids.items() if at >= first and lasts[at - first] >= idle_ms}
        index = min([index, *self.ids.values(), max(self.current, 0)])
        self.starts.drop_before(index)
        self.lasts.drop_before(index)

    def clear(self, store: ChunkStore) -> None:
        self.starts.clear(store)
        self.lasts.clear(store)
        self.heads, self.length_ms = [0] * 5, [0] * 5
        self.current, self.ids = -1, {}
