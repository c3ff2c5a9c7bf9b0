"""The summary of a run, and the law that it must obey: nothing that was read is unaccounted for."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


class ConservationError(RuntimeError):
    """What came out does not add up to what was read: a fault of the program, never of the log."""


@dataclass(slots=True)
class Summary:
    """Outcomes of a run. `read` is counted where the log is read, everything else where it came out."""

    read: int = 0
    applied: int = 0
    duplicate: int = 0
    rejected: int = 0
    late: int = 0
    suppressed: int = 0
    after_as_of: int = 0
    rows: int = 0
    customers: int = 0
    """Those of whom at least one event was applied."""
    segment_changes: int = 0
    refunds_without_order: int = 0
    views: int = 0
    """Versions of what was known of the population."""
    as_of_ms: int | None = None
    currency: str = ""
    rule_version: str = ""
    wall_s: float = 0.0
    events_per_s: float = 0.0
    rejected_by_reason: dict[str, int] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    """Customers in each segment at the end."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Segments that are checked but not run, with the reason."""

    def add_counts(self, lines: Iterable[bytes]) -> None:
        """Add the outcomes that each customer reported."""
        for line in lines:
            counts = json.loads(line)
            self.customers += counts["applied"] > 0  # records without a subject report, too, under the empty key
            for name in ("applied", "duplicate", "late", "suppressed", "refunds_without_order"):
                setattr(self, name, getattr(self, name) + counts[name])

    def add_rejected(self, lines: Iterable[bytes]) -> None:
        """Count the rejected records by reason."""
        reasons = Counter(json.loads(line)["reason"] for line in lines)
        self.rejected = sum(reasons.values())
        self.rejected_by_reason = dict(reasons.most_common())

    def check(self) -> None:
        """Hold the law read = applied + duplicate + rejected + late + suppressed.

        Raises:
            ConservationError: it does not hold.
        """
        out = self.applied + self.duplicate + self.rejected + self.late + self.suppressed
        if out != self.read:
            raise ConservationError(
                f"{self.read:,} records were read, but {out:,} came out (applied {self.applied:,}, duplicate "
                f"{self.duplicate:,}, rejected {self.rejected:,}, late {self.late:,}, suppressed {self.suppressed:,})"
            )

    def as_dict(self) -> dict[str, Any]:
        """For summary.json."""
        return asdict(self)
