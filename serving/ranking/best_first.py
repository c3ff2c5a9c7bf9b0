"""Names by their scores, sorted as far as somebody looks: of hundreds that have a score few are ever shown."""

from collections.abc import Mapping


class BestFirst:
    """The names with positive scores, highest score first, equal ones by name."""

    def __init__(self, scores: Mapping[str, float], first: int) -> None:
        """Sorts the first so many at once, others only as they are asked for. `scores` must not change any more."""
        self._scores = scores
        self._falling = sorted(scores.values(), reverse=True)
        self._names: list[str] = []
        self._is_whole = False
        self._reach(first)

    def part(self, begin: int, end: int) -> list[str]:
        """Names from one place to another, both counted from 0, the end not included; as far as there are any."""
        if end > len(self._names) and not self._is_whole:
            self._reach(max(end, 2 * len(self._names)))
        return self._names[begin:end]

    def _reach(self, count: int) -> None:
        """So many names, and all others that have the score of the last one: none that belongs between is missing."""
        self._is_whole = count >= len(self._falling)
        least = 0.0 if self._is_whole else self._falling[count]
        ranked = [(-score, name) for name, score in self._scores.items() if score >= least and score > 0]
        ranked.sort()
        self._names = [name for _, name in ranked]
