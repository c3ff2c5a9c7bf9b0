"""A published version of the scores: frozen numbers that anybody can say probabilities with."""

from collections.abc import Mapping, Sequence
from operator import mul
from typing import Any, Final, NamedTuple

from state.packing import pack
from state.population import calibration
from state.population.calibration import Calibration
from state.population.labels import TARGETS, is_asked
from state.population.refusal import unpack_versioned
from state.population.reliability import Quality
from state.population.score_inputs import INPUTS, score_inputs

VERSION: Final = 1


class Score(NamedTuple):
    """One score of a version."""

    weights: tuple[float, ...]
    """In the order of INPUTS."""
    calibration: Calibration
    examples: int
    """Learnt from, ever."""
    quality: Quality | None
    """Of what earlier versions said before the outcomes were known; None: none has spoken of a settled example yet."""

    def probability(self, inputs: Sequence[float]) -> float:
        """For a vector of `score_inputs`."""
        return self.calibration.calibrated(sum(map(mul, self.weights, inputs)))

    def packed(self) -> list[Any]:
        """For a part of something larger."""
        return [self.weights, calibration.packed(self.calibration), self.examples, self.quality]

    @classmethod
    def unpacked(cls, packed: Sequence[Any]) -> "Score":
        """The score again."""
        weights, parts, examples, quality = packed
        if len(weights) != len(INPUTS):
            raise ValueError(f"a score of {len(weights)} inputs; this program computes {len(INPUTS)}")
        made = None if quality is None else Quality(*quality)
        return cls(tuple(weights), calibration.unpacked(parts), examples, made)


class ScoreVersion(NamedTuple):
    """All scores, as of a time. Bound: some 350 bytes a score; with an isotonic calibration, up to 3 KB more."""

    number: int
    """Moves forward only."""
    as_of_ms: int
    scores: tuple[Score | None, ...]
    """By target; None: there are not enough examples yet."""

    def predict(self, values: Mapping[str, Any]) -> dict[str, float | None]:
        """The probability of each target, for a customer with these features (state.rules.features).

        None: there is no model yet, or the question is not asked of such a customer (see labels.py).

        Raises:
            ScoreInputError: a feature is no number.
        """
        inputs = score_inputs(values)
        return {
            name: score.probability(inputs) if score is not None and is_asked(target, values) else None
            for target, (name, score) in enumerate(zip(TARGETS, self.scores, strict=True))
        }

    def packed(self) -> bytes:
        """As versioned MessagePack."""
        scores = [None if score is None else score.packed() for score in self.scores]
        return pack((VERSION, self.number, self.as_of_ms, scores))

    @classmethod
    def unpacked(cls, packed: bytes) -> "ScoreVersion":
        """Raises ValueError: a newer program wrote it, or one with other inputs."""
        number, as_of_ms, scores = unpack_versioned(packed, VERSION, "a version of the scores")
        return cls(number, as_of_ms, tuple(None if score is None else Score.unpacked(score) for score in scores))
