"""The table `[population]` of the settings."""

from typing import Any

import pytest

from schemas.settings import Settings, SettingsError
from state.population.settings import PopulationSettings, population_settings

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"moved_by": -0.1}, "moved_by = -0.1"),
    ({"view_every_ms": -1}, "view_every_ms = -1"),
    ({"learn_share": -0.5}, "learn_share = -0.5"),
    ({"interval_ms": 0}, "interval_ms = 0"),
    ({"gather_every_ms": 0}, "gather_every_ms = 0"),
    ({"learn_every_ms": 0}, "learn_every_ms = 0"),
    ({"interval": 5}, "interval"),
    ({"interval_ms": "soon"}, "interval_ms"),
    ({"clusters": {"k_min": 9, "k_max": 3}}, "k_min = 9"),
    ({"clusters": {"k_least": 9}}, "k_least"),
    ({"percentiles": {"tolerance": -1}}, "tolerance"),
    ({"scores": {"half_life_ms": 0}}, "half_life_ms"),
    ({"drift": {"delta": 7}}, "delta"),
]


@pytest.mark.parametrize(("table", "named"), WRONG)
def test_errors_name_the_setting(table: dict[str, Any], named: str) -> None:
    """And the table that it is in."""
    with pytest.raises(SettingsError, match=r"^population: ") as error:
        population_settings(Settings(population=table))
    assert named in str(error.value)


def test_what_is_not_said_is_the_default() -> None:
    """The least that is allowed is allowed."""
    assert population_settings(Settings()) == PopulationSettings()
    table = {"enabled": True, "interval_ms": 1, "view_every_ms": 0, "clusters": {"names": {"3": "collectors"}}}
    chosen = population_settings(Settings(population=table))
    assert (chosen.enabled, chosen.interval_ms, chosen.view_every_ms) == (True, 1, 0)
    assert chosen.clusters.names == {3: "collectors"}
    assert chosen.gather_every_ms == PopulationSettings().gather_every_ms
