"""Versions of the scores that were in force: what they said of a customer is known when the outcome is.

So a score is judged by what it said before anybody could know (prequential: Dawid, "The prequential approach", 1984),
and customers have to carry no predictions around.
"""

from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from schemas.settings import HOUR_MS
from state.packing import pack
from state.population.labels import HORIZONS_MS, Example
from state.population.refusal import unpack_versioned
from state.population.score_inputs import vectors
from state.population.score_version import ScoreVersion

VERSION: Final = 1
VERSIONS_MAX: Final = 256
APART_MS: Final = 3 * HOUR_MS
"""One that is in force so soon after another is not kept, however often there is a new view, or what an example of long
ago asks for would be let go of: HORIZONS_MS hold 240."""


class ScoreHistory:
    """Bound: VERSIONS_MAX versions of some 700 bytes; those that no example can ask for are let go."""

    def __init__(self, packed: bytes | None = None) -> None:
        """`packed`: what one before left.

        Raises:
            ValueError: a newer program wrote it.
        """
        self._versions: list[tuple[int, ScoreVersion, bytes]] = []  # each packed once: they never change
        if packed is not None:
            (rows,) = unpack_versioned(packed, VERSION, "the history of the scores")
            self._versions = [(from_ms, ScoreVersion.unpacked(one), one) for from_ms, one in rows]

    def packed(self) -> bytes:
        """Versioned bytes."""
        return pack([VERSION, [(from_ms, one) for from_ms, _, one in self._versions]])

    def add(self, version: ScoreVersion, from_ms: int) -> None:
        """From `from_ms` on this version is in force; times go forward. What it says may be told by the one before."""
        if self._versions and from_ms < self._versions[-1][0] + APART_MS:
            return
        self._versions.append((from_ms, version, version.packed()))
        oldest_ms = from_ms - max(HORIZONS_MS)
        while len(self._versions) > 1 and (self._versions[1][0] <= oldest_ms or len(self._versions) > VERSIONS_MAX):
            del self._versions[0]

    def recalled(self, examples: Iterable[Example]) -> list[Example]:
        """The examples with what was said of them, by the version in force or one that was at most APART_MS before.

        None where there was none, or it said nothing.
        """
        return [example._replace(said=self._said(example)) for example in examples]

    def _said(self, example: Example) -> float | None:
        at = bisect_right(self._versions, example.as_of_ms, key=itemgetter(0))
        if not at:
            return None
        score = self._versions[at - 1][1].scores[example.target]
        return None if score is None else score.probability(vectors.unpacked(example.inputs))
