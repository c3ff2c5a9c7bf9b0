"""What an experiment is: variants with shares, and what each of them changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import gcd, prod
from typing import Any

from schemas.variant_label import HOLDOUT


@dataclass(frozen=True, slots=True)
class Variant:
    """What a level of a factor changes: of the ranking, and for the page to know."""

    ranking: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the ranking in place of the server's."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Whatever the page makes of it."""


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that varies. An A/B/n test has one factor; a multivariate one has several, all combinations of them."""

    name: str
    shares: Mapping[str, int]
    """Level: its share, in parts of the sum of all."""
    levels: Mapping[str, Variant]


@dataclass(frozen=True)
class Experiment:
    """One experiment."""

    name: str
    factors: tuple[Factor, ...]
    """One at least."""
    description: str | None = None
    salt: str = ""
    group: str | None = None
    """Of experiments of one group a customer is in one at most."""
    traffic: tuple[float, float] = (0.0, 1.0)
    """The slice of all customers that is in it, from 0 to 1."""
    from_ms: int | None = None
    until_ms: int | None = None
    planned_customers_per_variant: int | None = None
    """Chosen beforehand: intervals are tightest when control and variant have so many each. None: nothing was said."""

    @property
    def traffic_salt(self) -> str:
        """Equal for all experiments of a group."""
        return f"group:{self.group}" if self.group is not None else f"traffic:{self.salt}"

    def runs(self, now_ms: int) -> bool:
        """Whether it has begun and has not ended."""
        return (self.from_ms is None or now_ms >= self.from_ms) and (self.until_ms is None or now_ms < self.until_ms)

    @cached_property
    def combinations(self) -> tuple[tuple[str, ...], ...]:
        """All variants, a level of each factor; the first is the control."""
        return tuple(product(*(factor.shares for factor in self.factors)))

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """Their names."""
        return tuple("+".join(chosen) for chosen in self.combinations)

    @cached_property
    def place_of(self) -> dict[tuple[str, ...], int]:
        """From 1, in `shares`."""
        return {chosen: place for place, chosen in enumerate(self.combinations, 1)}

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """The share of every variant, as small whole numbers."""
        found = [
            prod(factor.shares[level] for factor, level in zip(self.factors, chosen, strict=True))
            for chosen in self.combinations
        ]
        common = gcd(*found)
        return tuple(part // common for part in found)

    @cached_property
    def shares(self) -> str:
        """As a label says them (schemas/variant_label.py)."""
        return ":".join(map(str, self.parts))

    @cached_property
    def changed(self) -> frozenset[str]:
        """The settings of the ranking that any of the variants changes."""
        levels = (level for factor in self.factors for level in factor.levels.values())
        return frozenset(name for level in levels for name in level.ranking)

    def settings(self, variant: str) -> dict[str, Any]:
        """What a variant changes of the ranking."""
        return {name: value for one in self._levels(variant) for name, value in one.ranking.items()}

    def parameters(self, variant: str) -> dict[str, Any]:
        """What the page is to know."""
        return {name: value for one in self._levels(variant) for name, value in one.parameters.items()}

    def _levels(self, variant: str) -> list[Variant]:
        chosen = self.combinations[self.variants.index(variant)]
        return [factor.levels[level] for factor, level in zip(self.factors, chosen, strict=True)]


@dataclass(frozen=True, slots=True)
class Experiments:
    """All of a file."""

    experiments: tuple[Experiment, ...] = ()
    holdout_share: float = 0.0
    """Of all customers: these are in no experiment, so that all of them together can be told from nothing."""
    holdout_salt: str = HOLDOUT
    holdout_planned: int | None = None
    """Customers per variant, as an experiment's."""
    version: str | None = None
    """Of the file; None: there is none."""

    def named(self, name: str) -> Experiment | None:
        """The experiment of this name."""
        return next((experiment for experiment in self.experiments if experiment.name == name), None)

    def defines(self, name: str) -> bool | None:
        """Whether what is counted under this name is of this file; None: there is no file."""
        if self.version is None:
            return None
        return self.holdout_share > 0 if name == HOLDOUT else self.named(name) is not None

    def planned(self, name: str) -> int | None:
        """For how many customers of each variant the experiment of this name, or the holdout, was planned."""
        if name == HOLDOUT:
            return self.holdout_planned
        experiment = self.named(name)
        return None if experiment is None else experiment.planned_customers_per_variant
