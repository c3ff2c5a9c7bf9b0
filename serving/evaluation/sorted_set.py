"""A sorted set in memory, in the order in which Redis keeps one."""

from bisect import bisect_left, bisect_right, insort

from serving.popularity import Ranked


class SortedSet:
    """Members with scores, by score and then by their bytes. Bound: as many members as `most` says; None: no bound."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._scores: dict[str, float] = {}
        self._order: list[tuple[float, str]] = []  # UTF-8 has the order of code points, so texts have that of bytes

    def put(self, member: str, score: float) -> None:
        """From now on this is its score; if they are too many now, the lowest one is dropped."""
        self.take(member)
        self._scores[member] = score
        insort(self._order, (score, member))
        if self._most is not None and len(self._order) > self._most:
            del self._scores[self._order.pop(0)[1]]

    def take(self, member: str) -> None:
        """Take it out, if it is there."""
        score = self._scores.pop(member, None)
        if score is not None:
            del self._order[bisect_left(self._order, (score, member))]

    def first(self, count: int, up_to: float | None = None) -> Ranked:
        """(member, score), the highest ones first, of equal ones the later id; none above `up_to`."""
        end = len(self._order) if up_to is None else bisect_right(self._order, up_to, key=lambda entry: entry[0])
        return tuple((member, score) for score, member in reversed(self._order[max(0, end - count) : end]))
