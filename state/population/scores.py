"""The propensity scores: learnt from settled examples, judged by what was said before, published as versions.

::

    snapshot ── predict (version 7) ── waits ──── settled ──> learn, in a fixed order ──> version 31
                     │                                │
                     └───── said: 0.31 ───────────────┴─────> quality of what is said

There is one learner for all: examples of an interval of event time travel to it, it learns them sorted, so the order
of arrival within an interval makes no difference. Versions travel back to whoever says scores.
"""

from collections.abc import Iterable
from typing import Any, Final

from state.packing import pack
from state.population.calibration import FITS
from state.population.labels import TARGETS, Example
from state.population.refusal import unpack_versioned
from state.population.reliability import Reliability
from state.population.score_inputs import vectors
from state.population.score_learner import ScoreLearner
from state.population.score_settings import ScoreSettings
from state.population.score_version import Score, ScoreVersion

VERSION: Final = 1


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
            self.number, self.now_ms, learners, said = unpack_versioned(packed, VERSION, "the model of the scores")
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

    @property
    def speaks(self) -> bool:
        """Whether a version published now would say anything."""
        return any(map(self._is_known, self._learners))

    def publish(self) -> ScoreVersion:
        """The next version, as of the last interval learnt."""
        self.number += 1
        scores = tuple(map(self._score, self._learners, self._said))
        return ScoreVersion(self.number, self.now_ms, scores)

    def _is_known(self, learner: ScoreLearner) -> bool:
        rarer = min(learner.positives, learner.seen - learner.positives)
        return learner.seen >= self.settings.examples_min and rarer >= self.settings.each_min

    def _score(self, learner: ScoreLearner, said: Reliability) -> Score | None:
        if not self._is_known(learner):
            return None
        calibration = FITS[self.settings.calibration](learner.fresh)
        return Score(learner.weights(), calibration, learner.seen, said.quality())


def _order(example: Example) -> tuple[object, ...]:
    """By time, customer and question; the rest only so that the order is one whatever comes."""
    return (*example[:5], -1.0 if example.said is None else example.said)
