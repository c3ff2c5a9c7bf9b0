"""The propensity scores: learnt from settled examples, judged by what was said before, published as versions.

::

    snapshot ── predict (version 7) ── waits ──── settled ──> learn, in a fixed order ──> version 31
                     │                                │
                     └───── said: 0.31 ───────────────┴─────> quality of what is said

There is one learner for all: examples of an interval of event time travel to it, it learns them sorted, so the order
of arrival within an interval makes no difference. Versions travel back to whoever says scores.
"""

from collections.abc import Iterable
from math import inf
from typing import Any, Final, Literal

import msgspec

from state.packing import pack
from state.population.calibration import FITS
from state.population.labels import TARGETS, Example
from state.population.reliability import Reliability
from state.population.score_inputs import DAY_MS, vectors
from state.population.score_learner import LearnerSettings, ScoreLearner
from state.population.score_packing import opened
from state.population.score_version import Score, ScoreVersion

VERSION: Final = 1


class ScoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be chosen. The defaults were measured with benchmarks/propensity.py."""

    learner: LearnerSettings = LearnerSettings()
    calibration: Literal["platt", "beta", "isotonic"] = "beta"
    """Beta had the least Brier score, or shared it, of the three, on simulated logs and on Online Retail."""
    half_life_ms: int = 30 * DAY_MS
    """Of an example's part in calibration and quality."""
    memory_half_life_ms: int = 30 * DAY_MS
    """Of the optimiser's memory of its steps: the shorter, the more the newest examples count."""
    examples_min: int = 200
    """Before a score has learnt from so many, it says nothing."""
    each_min: int = 20
    """Nor before so many of them came true, and so many did not."""

    def __post_init__(self) -> None:
        """Raises ValueError: a number is not above 0."""
        for name in ("half_life_ms", "memory_half_life_ms", "examples_min", "each_min"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of the scores must be at least 1, not {getattr(self, name)}")
        if not 0 < self.learner.learning_rate < inf:
            raise ValueError(f"the learning rate of the scores must be above 0, not {self.learner.learning_rate}")


class ScoreModel:
    """Learners of all targets, and the quality of what has been said.

    Bound: 2 numbers for each input and 6 for each bin of the histograms, for each target: some 10 KB, packed.
    """

    def __init__(self, settings: ScoreSettings, packed: bytes | None = None) -> None:
        """`packed`: the state that another one left.

        Raises:
            ValueError: a newer program wrote it.
        """
        self.settings = settings
        self.number = 0
        self.now_ms = -1
        learners: list[Any] = [None] * len(TARGETS)
        said: list[Any] = [None] * len(TARGETS)
        if packed is not None:
            self.number, self.now_ms, learners, said = opened(packed, VERSION, "the model of the scores")
        self._learners = [ScoreLearner(settings.learner, one) for one in learners]
        self._said = [Reliability() if one is None else Reliability.unpacked(one) for one in said]

    def packed(self) -> bytes:
        """The state, as numbers: what is learnt after it is the same to the last bit."""
        learners = [one.packed() for one in self._learners]
        return pack((VERSION, self.number, self.now_ms, learners, [one.packed() for one in self._said]))

    def learn(self, examples: Iterable[Example], now_ms: int) -> int:
        """Learn all examples of the interval that ends at `now_ms`; returns how many there were.

        One that comes twice in an interval counts once. Intervals go forward in time.

        Raises:
            ValueError: an example has other inputs than this program's, or what was said is no probability.
        """
        self._fade(now_ms)
        newest: tuple[int, str, int] | None = None
        count = 0
        for example in sorted(examples, key=_order):
            if example[:3] == newest:
                continue
            newest = example[:3]
            count += 1
            inputs = vectors.unpacked(example.inputs)
            if example.said is not None:
                self._said[example.target].add(example.said, example.positive)
            self._learners[example.target].learn(inputs, example.positive)
        return count

    def _fade(self, now_ms: int) -> None:
        passed_ms = max(0, now_ms - self.now_ms) if self.now_ms >= 0 else 0
        self.now_ms = max(now_ms, self.now_ms)
        if not passed_ms:
            return
        factor = 0.5 ** (passed_ms / self.settings.half_life_ms)
        memory_factor = 0.5 ** (passed_ms / self.settings.memory_half_life_ms)
        for learner, said in zip(self._learners, self._said, strict=True):
            learner.fade(factor, memory_factor)
            said.fade(factor)

    def publish(self) -> ScoreVersion:
        """The next version, as of the last interval learnt."""
        self.number += 1
        scores = tuple(map(self._score, self._learners, self._said))
        return ScoreVersion(self.number, self.now_ms, scores)

    def _score(self, learner: ScoreLearner, said: Reliability) -> Score | None:
        settings = self.settings
        rarer = min(learner.positives, learner.seen - learner.positives)
        if learner.seen < settings.examples_min or rarer < settings.each_min:
            return None
        calibration = FITS[settings.calibration](learner.fresh)
        return Score(learner.weights(), calibration, learner.seen, said.quality())


def _order(example: Example) -> tuple[object, ...]:
    """By time, customer and question; the rest only so that the order is one whatever comes."""
    return (*example[:5], -1.0 if example.said is None else example.said)
