"""The population as all customers are shown it: one version of thresholds and clusters, and its answers to rules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from state.packing import pack
from state.population.model import ClusterModel
from state.population.percentiles import RFM, Percentiles
from state.population.questions import Key, answerer
from state.population.refusal import unpack_versioned
from state.population.score_version import ScoreVersion
from state.rules import tree
from state.rules.features import PROPENSITIES

VERSION: Final = 1
Values = Mapping[str, Any]


class Seen(NamedTuple):
    """One customer as seen by a view."""

    values: Values
    """Features by name, as of `as_of_ms`; absent ones are not there."""
    as_of_ms: int
    cluster: str | None
    """Name of the cluster, if there are clusters."""
    scores: Mapping[str, float]
    """Learned probabilities by name, as far as there are any of such a customer."""


Answer = Callable[[Seen], object]


class PopulationView:
    """What is in force of the population. Bound: one `Percentiles` for each question, one model of each kind."""

    __slots__ = ("_rfm", "at_ms", "clusters", "number", "percentiles", "scores")

    def __init__(
        self,
        number: int,
        at_ms: int,
        percentiles: Mapping[Key, Percentiles],
        clusters: ClusterModel | None = None,
        scores: ScoreVersion | None = None,
    ) -> None:
        """`number` rises with every view; `at_ms`: event time from which on it is in force."""
        self.number, self.at_ms = number, at_ms
        self.percentiles, self.clusters, self.scores = dict(percentiles), clusters, scores
        self._rfm: list[tuple[str, Answer]] | None = None

    def packed(self) -> bytes:
        """Versioned bytes."""
        rows = [(*key, one.packed()) for key, one in sorted(self.percentiles.items())]
        models = (None if model is None else model.packed() for model in (self.clusters, self.scores))
        return pack([VERSION, self.number, self.at_ms, rows, *models])

    @classmethod
    def unpacked(cls, packed: bytes) -> "PopulationView":
        """The view again.

        Raises:
            PopulationError: the bytes are none of a view, or of a newer program's.
            ClusterStateError: the clusters in it are.
            ValueError: the scores in it are.
        """
        number, at_ms, rows, clusters, scores = unpack_versioned(packed, VERSION, "a view of the population")
        percentiles = {(feature, positive): Percentiles.unpacked(one) for feature, positive, one in rows}
        return cls(
            number,
            at_ms,
            percentiles,
            None if clusters is None else ClusterModel.unpacked(clusters),
            None if scores is None else ScoreVersion.unpacked(scores),
        )

    def answers(self, asks: Sequence[tree.Asked]) -> tuple[Answer, ...] | None:
        """A function for each question of some rules; None if one of them cannot be answered yet."""
        found = [self._answer(asked) for asked in asks]
        known = tuple(answer for answer in found if answer is not None)
        return known if len(known) == len(found) else None

    def in_force(self, feature: str, *, positive: bool) -> Percentiles | None:
        """The percentiles of a feature, if they are known."""
        return self.percentiles.get((feature, positive))

    def rfm(self, seen: Seen) -> dict[str, int]:
        """The scores that are known."""
        if self._rfm is None:
            found = {name: answerer(tree.Asked(name, ()), self) for name in RFM}
            self._rfm = [(name, score) for name, score in found.items() if score is not None]
        scores = [(name, score(seen)) for name, score in self._rfm]
        return {name: int(score) for name, score in scores if isinstance(score, int)}

    def _answer(self, asked: tree.Asked) -> Answer | None:
        if asked.function == "cluster":
            return None if self.clusters is None else lambda seen: seen.cluster == asked.args[0]
        if asked.function in PROPENSITIES:  # absent at first, so that the other segments need not wait for weeks
            return lambda seen: seen.scores.get(asked.function)
        return answerer(asked, self)
