"""Which offsets may be committed: those before the first record that is still under way, for each partition."""

from collections import deque


class Ledger:
    """Records of the partitions that this process has, from `begin` to `done`. For one thread."""

    def __init__(self) -> None:
        self._open: dict[int, deque[int]] = {}
        """Offsets in order; those that are done wait behind one that is not."""
        self._done: dict[int, set[int]] = {}
        self._next: dict[int, int] = {}
        """What can be committed: the offset after the last one of an unbroken row."""
        self._committed: dict[int, int] = {}
        self.under_way = 0
        """Records begun and not done."""

    def begin(self, partition: int, offset: int) -> None:
        """A record was read."""
        self._open.setdefault(partition, deque()).append(offset)
        self._done.setdefault(partition, set())
        self.under_way += 1

    def done(self, partition: int, offset: int) -> None:
        """It was delivered; told of a partition that is no longer here, or twice, it says nothing."""
        row, finished = self._open.get(partition), self._done.get(partition)
        if not row or finished is None or offset < row[0] or offset in finished:
            return
        finished.add(offset)
        self.under_way -= 1
        while row and row[0] in finished:
            finished.discard(row[0])
            self._next[partition] = row.popleft() + 1

    def committable(self, *, again: bool = False) -> dict[int, int]:
        """Partition -> offset to go on from, where it has moved since `committed` was told; with `again`, all."""
        return {part: offset for part, offset in self._next.items() if again or self._committed.get(part) != offset}

    def committed(self, offsets: dict[int, int]) -> None:
        """These were committed."""
        self._committed.update(offsets)

    def drop(self, partition: int) -> None:
        """The partition has gone to another process."""
        self.under_way -= len(self._open.pop(partition, ())) - len(self._done.pop(partition, ()))
        self._next.pop(partition, None)
        self._committed.pop(partition, None)
