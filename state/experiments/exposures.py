"""What one customer was shown in experiments, and did.

A customer counts for the variant that was seen first (intention to treat): whoever comes to see another one of the
same experiment, because its shares were changed or a page mixed things up, stays with the first, and is counted as
crossed. Impressions and clicks are those of that variant. Orders are looked up in the order book when they are asked
for, so refunds and late events need nothing of their own here: an outcome is a function of the fold.

A click counts if there were more impressions of the variant than clicks before it.

Bounds: MOST_EXPERIMENTS experiments, of which the one that was shown longest ago makes room, and MOST_SEGMENTS segments
each. What was told of one that is gone stays as it was told.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from schemas.variant_label import Arm
from state.customer.orders import OrderBook
from state.experiments.sums import Outcome

MOST_EXPERIMENTS: Final = 32
MOST_SEGMENTS: Final = 16


class Exposure:
    """One customer in one experiment."""

    __slots__ = ("arm", "clicked", "crossed", "first_ms", "last_ms", "segments", "shown")

    def __init__(self, arm: Arm, first_ms: int, segments: tuple[str, ...] | None = None) -> None:
        self.arm = arm
        self.first_ms = self.last_ms = first_ms
        self.segments = segments
        """That the customer was in at the first exposure: nothing that the variant did. None: not said yet."""
        self.shown = self.clicked = 0
        self.crossed = False

    def packed(self) -> list[Any]:
        return [*self.arm, self.first_ms, self.last_ms, self.segments, self.shown, self.clicked, self.crossed]

    @classmethod
    def unpacked(cls, packed: Sequence[Any]) -> "Exposure":
        *arm, first_ms, last_ms, segments, shown, clicked, crossed = packed
        exposure = cls(Arm(*arm), first_ms, None if segments is None else tuple(segments))
        exposure.last_ms, exposure.shown, exposure.clicked, exposure.crossed = last_ms, shown, clicked, crossed
        return exposure

    def outcome(self, orders: OrderBook, window_ms: int) -> Outcome:
        """What came of it: orders within `window_ms` of the first exposure, net of what was taken back."""
        count = cents = 0
        for left_cents in orders.kept_between(self.first_ms, self.first_ms + window_ms):
            count += 1
            cents += left_cents
        return Outcome(self.shown, self.clicked, count, cents)


class Exposures:
    """All of a customer's, by the experiment's name."""

    __slots__ = ("by_name", "has_new")

    def __init__(self) -> None:
        self.by_name: dict[str, Exposure] = {}
        self.has_new = False
        """Whether segments are still to be said of one."""

    def show(self, arms: Iterable[Arm], time_ms: int) -> None:
        """A recommendation was on the screen."""
        for arm in arms:
            exposure = self.by_name.get(arm.experiment)
            if exposure is None:
                if len(self.by_name) >= MOST_EXPERIMENTS:
                    del self.by_name[min(self.by_name, key=lambda name: self.by_name[name].last_ms)]
                exposure = self.by_name[arm.experiment] = Exposure(arm, time_ms)
                self.has_new = True
            exposure.last_ms = time_ms
            if exposure.arm.variant == arm.variant:
                exposure.shown += 1
            else:
                exposure.crossed = True

    def click(self, arms: Iterable[Arm]) -> None:
        """A recommendation was clicked. Of what was never shown nothing is counted."""
        for arm in arms:
            exposure = self.by_name.get(arm.experiment)
            if exposure is not None and exposure.arm.variant == arm.variant and exposure.clicked < exposure.shown:
                exposure.clicked += 1

    def know_segments(self, segments: Iterable[str]) -> None:
        """Of exposures that are new: what the customer is in by now."""
        self.has_new = False
        known = tuple(sorted(segments)[:MOST_SEGMENTS])
        for exposure in self.by_name.values():
            if exposure.segments is None:
                exposure.segments = known

    def packed(self) -> list[Any]:
        return [exposure.packed() for exposure in self.by_name.values()]

    @classmethod
    def unpacked(cls, packed: Iterable[Sequence[Any]]) -> "Exposures":
        exposures = cls()
        for one in packed:
            exposure = Exposure.unpacked(one)
            exposures.by_name[exposure.arm.experiment] = exposure
            exposures.has_new |= exposure.segments is None
        return exposures
