"""One score's learner: River's logistic regression on fixed inputs, one example at a time, and its calibration.

Logarithmic loss without weights for the rare class: what is wanted are probabilities, and these it gets right, however
rare the thing. Ranking (AUC) gains nothing from weights, calibration would lose.

AdaGrad (Duchi, Hazan, Singer, JMLR 2011) takes smaller steps for inputs that have moved much. What it remembers of
that fades, so that the model goes on learning from a population that changes. The intercept is not learnt by steps: it
is the log odds of the share that came true so far, or the model of a rare thing would move down for weeks, and its
calibration run after it. What is left to learn there is the weight of the input `bias`.
"""

from collections.abc import Sequence
from math import log
from typing import Any, Final

from river import linear_model, optim, utils

from state.population.reliability import Reliability, log_odds
from state.population.score_inputs import INPUTS
from state.population.score_settings import LearnerSettings

NAMES: Final = tuple(range(len(INPUTS)))
"""River's names for the inputs."""
BIAS: Final = INPUTS.index("bias")


class ScoreLearner:
    """Weights, the optimiser's memory, and what the model said of examples just before it learnt them.

    Bound: two numbers for each input, and a histogram.
    """

    def __init__(self, settings: LearnerSettings, packed: Sequence[Any] | None = None) -> None:
        """`packed`: what `packed` gave; None: a learner that knows nothing."""
        self._optimiser = optim.AdaGrad(settings.learning_rate)
        self._model = linear_model.LogisticRegression(self._optimiser, intercept_lr=0.0)
        self.seen = 0
        self.positives = 0
        self.fresh = Reliability()
        weights, steps = [0.0] * len(NAMES), [0.0] * len(NAMES)
        if packed is not None:
            self.seen, self.positives, weights, steps, fresh = packed
            self.fresh = Reliability.unpacked(fresh)
        # River has no way to hand weights back in; every name is there from the start, so that sums are always taken
        # in the same order
        self._model._weights = utils.VectorDict(dict(zip(NAMES, weights, strict=True)))
        self._optimiser.g2.update(zip(NAMES, steps, strict=True))
        self._optimiser.n_iterations = self.seen
        self._set_intercept()

    def packed(self) -> list[Any]:
        """Everything, as numbers: for a part of something larger."""
        steps = [self._optimiser.g2[name] for name in NAMES]
        weights = self._model.weights
        return [self.seen, self.positives, [weights[name] for name in NAMES], steps, self.fresh.packed()]

    def weights(self) -> tuple[float, ...]:
        """In the order of INPUTS; the intercept is in that of `bias`."""
        found = self._model.weights
        return tuple(found[name] + (self._model.intercept if name == BIAS else 0.0) for name in NAMES)

    def learn(self, inputs: Sequence[float], positive: bool) -> None:
        """First say how probable it is, for the calibration; then learn the outcome."""
        named = _named(inputs)
        self.fresh.add(self._model.predict_proba_one(named)[True], positive)
        self._model.learn_one(named, positive)
        self.seen += 1
        self.positives += positive
        self._set_intercept()

    def _set_intercept(self) -> None:
        self._model.intercept = log((self.positives + 0.5) / (self.seen - self.positives + 0.5))

    def fade(self, factor: float, memory_factor: float) -> None:
        """Let the calibration's examples count for less, and the optimiser's memory of its steps."""
        self.fresh.fade(factor)
        steps = self._optimiser.g2
        for name in NAMES:
            steps[name] *= memory_factor

    def odds(self, inputs: Sequence[float]) -> float:
        """The log odds as of now, not calibrated."""
        return log_odds(self._model.predict_proba_one(_named(inputs))[True])


def _named(inputs: Sequence[float]) -> dict[int, float]:
    """As River wants them, without zeros: they have no part in a sum, nor in a gradient."""
    return {name: x for name, x in zip(NAMES, inputs, strict=True) if x}
