"""What a simulated log is asked to look like."""

import msgspec

from schemas.settings import DAY_MS, HOUR_MS

START_MS = 1_740_787_200_000
"""2025-03-01T00:00:00Z: a fixed default, so that the same command gives the same log tomorrow."""
LATENESS_MS = 7 * DAY_MS
"""The default `allowed_lateness_ms`: what is displaced on purpose stays strictly within it."""
REFUND_LEAD_MS = 2 * HOUR_MS
"""With `refunds_first`, a refund precedes its order by at most this much, in arrival or by its timestamp."""


class SimulationError(ValueError):
    """Settings that no log can be made from, or a file that cannot be written; the message says what to change."""


class SimulationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of `segmill simulate`. Shares are between 0 and 1."""

    events: int = 500_000
    """Distinct well-formed events; duplicates and malformed lines come on top."""
    customers: int = 20_000
    """Those who might come; at the default size, two thirds of them do within the days."""
    products: int = 2_000
    days: int = 60
    seed: int = 1
    start_ms: int = START_MS
    currency: str = "USD"
    shift_at: float | None = None
    """Share of the days after which customers and fashions change; None: they never do."""
    hot_share: float = 0.0
    """Share of all events that one customer has."""
    shuffle_ms: int = 0
    """Each event arrives up to this much event time late."""
    duplicates: float = 0.0
    """Share of events that are delivered a second time, byte for byte, up to three days later."""
    malformed: float = 0.0
    """Lines that must be rejected, as a share of events."""
    refunds_first: bool = False
    """A third of the refunds arrive before their order, or bear an earlier timestamp than it."""

    def checked(self) -> "SimulationSettings":
        """Return these settings.

        Raises:
            SimulationError: a value is out of range.
        """
        for name in ("events", "customers", "products", "days"):
            if getattr(self, name) < 1:
                raise SimulationError(f"--{name} must be at least 1, not {getattr(self, name)}")
        for name, most in (("hot_share", 0.95), ("duplicates", 1.0), ("malformed", 1.0)):
            if not 0 <= getattr(self, name) <= most:
                raise SimulationError(f"--{name.replace('_', '-')} must be between 0 and {most:g}")
        if self.shift_at is not None and not 0 < self.shift_at < 1:
            raise SimulationError("--shift-at is a share of the days: it must be above 0 and below 1")
        if not 0 <= self.shuffle_ms < LATENESS_MS - DAY_MS:
            raise SimulationError(f"--shuffle-ms must be between 0 and {LATENESS_MS - DAY_MS - 1}, within the lateness")
        if not 0 <= self.start_ms <= 4_000_000_000_000:
            raise SimulationError("--start must be a time between 1970 and 2096")
        if not (len(self.currency) == 3 and self.currency.isascii() and self.currency.isupper()):
            raise SimulationError(f"--currency must be three capital letters, not {self.currency!r}")
        return self
