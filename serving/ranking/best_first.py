"""Names by their scores, sorted as far as somebody looks: of hundreds that have a score few are ever shown."""

from collections.abc import Mapping


class BestFirst:
    """The names with positive scores, highest score first, equal ones by name."""

    def __init__(self, scores: Mapping[str, float], first: int) -> None:
        """Sorts the first so many at once, the others only if they are asked for. `scores` must not change any more."""
        self._scores = scores
        self._is_whole = first >= len(scores)
        self._names = self._down_to(0.0 if self._is_whole else sorted(scores.values(), reverse=True)[first])

    def part(self, begin: int, end: int) -> list[str]:
        """Names from one place to another, both counted from 0, the end not included; as far as there are any."""
        if end > len(self._names) and not self._is_whole:
            self._names, self._is_whole = self._down_to(0.0), True
        return self._names[begin:end]

    def _down_to(self, least: float) -> list[str]:
        """All that have at least this score: whatever their number, none that belongs between them is missing."""
        ranked = [(-score, name) for name, score in self._scores.items() if score >= least and score > 0]
        ranked.sort()
        return [name for _, name in ranked]
