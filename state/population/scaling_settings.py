"""Settings of the scaling."""

import msgspec

from state.population.axes import Axis, checked_axes
from state.population.default_axes import DEFAULT_AXES


class ScalingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What customers are compared by.

    Raises:
        ValueError: see `checked_axes`; or a setting is out of its range.
    """

    axes: tuple[Axis, ...] = DEFAULT_AXES
    clip: float = 2.0
    turn_above: int = 16
    """From more axes than this on, the space is turned to its principal components."""
    turn_share: float = 0.95

    def __post_init__(self) -> None:
        checked_axes(self.axes)
        if not 0.5 <= self.clip <= 100:
            raise ValueError(f"clip = {self.clip}: must be between 0.5 and 100 scales")
        if not 0.5 <= self.turn_share <= 1:
            raise ValueError(f"turn_share = {self.turn_share}: must be between 0.5 and 1")
