"""The variants of a customer, and the ranking that they make."""

from typing import Any, NamedTuple

from msgspec.structs import replace

from schemas.variant_label import Arm, label_of
from serving.experiments.assignment import arms
from serving.experiments.definitions import Experiments
from serving.ranking.settings import RankingSettings


class Choice(NamedTuple):
    """What a customer gets."""

    label: str | None
    """To be sent back with what was shown; None: no experiment."""
    ranking: RankingSettings


class Chooser:
    """Chooses for all customers. Bound: one ranking for each combination that was met of variants that change it."""

    def __init__(self, experiments: Experiments, ranking: RankingSettings) -> None:
        self.experiments = experiments
        self._ranking = ranking
        self._rankings: dict[tuple[tuple[str, str], ...], RankingSettings] = {}
        known = experiments.experiments
        self._choose_strategy = frozenset(experiment.name for experiment in known if "strategy" in experiment.changed)
        self._choose_ranking = frozenset(experiment.name for experiment in known if experiment.changed)

    def choose(self, customer_id: str, now_ms: int, *, strategy_given: bool) -> Choice:
        """For one answer. Where the request itself says which strategy, experiments with strategies have no say."""
        if not self.experiments.version:
            return Choice(None, self._ranking)
        found = arms(self.experiments, customer_id, now_ms)
        if strategy_given:
            found = tuple(arm for arm in found if arm.experiment not in self._choose_strategy)
        return Choice(label_of(found), self._ranking_of(found))

    def parameters(self, arm: Arm) -> dict[str, Any]:
        """What a page is to know of a variant."""
        experiment = self.experiments.named(arm.experiment)
        return {} if experiment is None else experiment.parameters(arm.variant)

    def _ranking_of(self, found: tuple[Arm, ...]) -> RankingSettings:
        chosen = tuple((arm.experiment, arm.variant) for arm in found if arm.experiment in self._choose_ranking)
        ranking = self._rankings.get(chosen)
        if ranking is None:
            changes: dict[str, Any] = {}
            for name, variant in chosen:
                experiment = self.experiments.named(name)
                changes |= {} if experiment is None else experiment.settings(variant)
            ranking = self._rankings[chosen] = replace(self._ranking, **changes)
        return ranking
