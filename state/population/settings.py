"""The table `[population]` of the settings."""

from typing import Any, Final

import msgspec

from schemas.settings import DAY_MS, HOUR_MS, MINUTE_MS, Settings, SettingsError
from state.population.cluster_settings import ClusterSettings
from state.population.drift import DriftSettings
from state.population.publishing import PublishSettings
from state.population.score_settings import ScoreSettings

GATHER_BOUNDED_MS: Final = 6 * HOUR_MS


class PopulationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the population is learned and shown.

    Raises:
        ValueError: a setting is out of its range; the message names it.
    """

    enabled: bool = False
    """Whether anything of this is done. Without it, segments that ask about the population wait."""
    interval_ms: int = MINUTE_MS
    """A customer's snapshot is taken at most once in such an interval, and in one of gathering."""
    gather_every_ms: int = 10 * MINUTE_MS
    """Snapshots are put together so often, and counted for percentiles; of a customer the newest one stays. In a run
    that ends, every GATHER_BOUNDED_MS: nobody waits for it."""
    learn_every_ms: int = DAY_MS
    """Clusters learn at most so often, but for an alarm ... (Scores learn whenever snapshots are put together.)"""
    learn_share: float = 0.25
    """... and not before so many snapshots have come, as a share of the sample."""
    clusters: ClusterSettings = ClusterSettings()
    percentiles: PublishSettings = PublishSettings()
    scores: ScoreSettings = ScoreSettings()
    drift: DriftSettings = DriftSettings()
    moved_by: float = 0.1
    """A centroid that has moved by more than this since it was last shown, in scales, is shown anew."""
    view_every_ms: int = DAY_MS
    """Whatever has been learned is shown after so long."""

    def __post_init__(self) -> None:
        for name in ("moved_by", "view_every_ms", "learn_share"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must not be negative")
        for name in ("interval_ms", "gather_every_ms", "learn_every_ms"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least 1")


def population_settings(settings: Settings) -> PopulationSettings:
    """The table of these settings.

    Raises:
        SettingsError: a setting in it does not exist, has the wrong type or is out of its range.
    """
    table: dict[str, Any] = settings.population
    try:
        return msgspec.convert(table, PopulationSettings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"population: {error}") from error
