"""Settings of the scores."""

from math import inf
from typing import Literal

import msgspec

from schemas.settings import DAY_MS


class LearnerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one score is learnt."""

    learning_rate: float = 0.1


class ScoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be chosen. The defaults were measured with benchmarks/propensity.py."""

    learner: LearnerSettings = LearnerSettings()
    calibration: Literal["platt", "beta", "isotonic"] = "beta"
    """Beta's Brier score was the least of the three, or at most 0.0002 above it, on simulated logs and on Online
    Retail."""
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
