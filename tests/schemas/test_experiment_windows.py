"""How long an order counts for an experiment, and for the holdout: no longer than orders are remembered."""

import pytest

from schemas.settings import DAY_MS, Settings, SettingsError, changed_settings


@pytest.mark.parametrize("name", ["conversion_window_ms", "holdout_window_ms"])
def test_a_window_is_not_longer_than_the_memory_of_orders(name: str) -> None:
    known = Settings(order_memory_ms=100 * DAY_MS)
    assert getattr(changed_settings(known, {name: 100 * DAY_MS}), name) == 100 * DAY_MS
    with pytest.raises(SettingsError, match=f"{name} = .* at most order_memory_ms"):
        changed_settings(known, {name: 100 * DAY_MS + 1})


def test_the_shortest_memory_of_orders_takes_the_defaults() -> None:
    changed_settings(Settings(), {"order_memory_ms": 90 * DAY_MS})
