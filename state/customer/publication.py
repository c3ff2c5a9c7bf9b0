"""What was last published of a customer, and what is due: the profile, and the contributions to sums over all.

Contributions are a pure function of three ledgers, the newest views, bought products and impressions. What the items
were last told is kept as the ledgers of that time, so the exact difference can be told at any later time, an erasure
included. The viewed ledger is a stretch of the fold's own views, so two indices are enough to keep it.
"""

from typing import Any

from schemas.facts import Kind
from state.customer.counts import NEVER_MS
from state.customer.fold import Fold
from state.experiments.told import told_name
from state.impressions.ledger import Shown, pack_shown, unpack_shown
from state.similar.ledger import Bought, Viewed, pack_bought, pack_viewed, unpack_bought, unpack_viewed

LEDGER_ENTRIES = 50
ORDER_FIRST, ORDER_LAST = int(Kind.ORDER_COMPLETED), int(Kind.ORDER_CANCELLED)  # these three change what was bought
_SHOWN = int(Kind.RECOMMENDATION_SHOWN)  # from here on facts are about recommendations


def viewed_ledger(fold: Fold) -> tuple[int, int]:
    """The stretch of the fold's views that makes pairs: its newest 50."""
    end = fold.viewed.end
    return max(fold.viewed.first, end - LEDGER_ENTRIES), end


def bought_ledger(fold: Fold) -> list[Bought]:
    """The newest 50 (order, product) entries."""
    return fold.orders.newest_products(LEDGER_ENTRIES) if fold.orders.column.values else []


class Publication:
    """The ledgers that the items know of, and the state of the profile in Redis."""

    __slots__ = (
        "bought", "bought_changed", "erased", "exposures", "exposures_ms", "profile_ms", "profile_shown", "shown",
        "shown_changed", "viewed", "viewed_before",
    )  # fmt: skip

    def __init__(self) -> None:
        self.viewed: tuple[int, int] = (0, 0)
        self.viewed_before: list[Viewed] | None = None  # the ledger itself, while a rewind makes the indices moot
        self.bought: bytes = b""  # packed ledger; empty: nothing told
        self.bought_changed = False
        self.profile_ms = -1  # event time of the profile last written
        self.profile_shown = False  # whether Redis has a profile (and not a tombstone, or nothing)
        self.erased = False  # an erasure has to be told
        self.exposures: dict[str, bytes] = {}  # what was told of each experiment, packed
        self.exposures_ms = -1  # since when there is more to be told; -1: there is not
        self.shown: bytes = b""  # packed ledger of impressions; empty: nothing told
        self.shown_changed = False

    def told_viewed(self, fold: Fold) -> list[Viewed]:
        """The viewed ledger that the items know of."""
        if self.viewed_before is not None:
            return self.viewed_before
        return list(fold.view_entries(*self.viewed))

    def told_bought(self) -> list[Bought]:
        """The bought ledger that the items know of."""
        return list(unpack_bought(self.bought)) if self.bought else []

    def told_shown(self) -> list[Shown]:
        """The impressions that the items know of."""
        return unpack_shown(self.shown) if self.shown else []

    def before_rewind(self, fold: Fold) -> None:
        """Keep the told ledger itself: the fold's views are about to change under it."""
        self.viewed_before = self.told_viewed(fold)  # itself, if it is kept already
        self.bought_changed = True
        if self.exposures or fold.exposures is not None:
            self.exposures_ms = fold.clock_ms
        if self.shown or fold.impressions is not None:
            self.shown_changed = True

    def note(self, kind: int, fold: Fold) -> None:
        """A fact of a kind that is no view has been applied."""
        if kind <= ORDER_LAST:
            self.bought_changed = True
        elif kind < _SHOWN:
            return
        elif fold.impressions is not None:
            self.shown_changed = True
        if fold.exposures is not None and self.exposures_ms < 0:
            self.exposures_ms = fold.clock_ms

    def shown_is_told(self, shown: list[Shown]) -> None:
        """Remember that the items now know these impressions."""
        self.shown = pack_shown(shown) if shown else b""
        self.shown_changed = False

    def told(self, fold: Fold, bought: list[Bought]) -> None:
        """Remember that the items now know the ledgers as they are."""
        self.viewed = viewed_ledger(fold)
        self.viewed_before = None
        self.bought = pack_bought(bought) if bought else b""
        self.bought_changed = False

    @property
    def views_from(self) -> int:
        """The first view that `told_viewed` still asks for."""
        return self.viewed[0] if self.viewed_before is None and self.viewed[0] < self.viewed[1] else NEVER_MS

    def due_ms(self, fold: Fold) -> int:
        """When the items are to be told: once the session is over."""
        if (
            self.bought_changed
            or self.shown_changed
            or self.viewed_before is not None
            or self.viewed[1] != fold.viewed.end
        ):
            return (fold.last_seen_ms or fold.clock_ms) + fold.gap_ms
        return NEVER_MS

    def packed(self) -> list[Any]:
        before = None if self.viewed_before is None else pack_viewed(self.viewed_before)
        packed: list[Any] = [
            *self.viewed,
            before,
            self.bought,
            self.bought_changed,
            self.profile_ms,
            self.profile_shown,
        ]
        shows = self.shown_changed or bool(self.shown)
        if shows or self.exposures or self.exposures_ms >= 0:
            packed += [list(self.exposures.values()), self.exposures_ms]
        if shows:
            packed += [self.shown, self.shown_changed]
        return packed

    @classmethod
    def unpacked(cls, packed: list[Any]) -> "Publication":
        publication = cls()
        first, end, before, *rest = packed
        publication.viewed = (first, end)
        publication.viewed_before = None if before is None else list(unpack_viewed(before))
        publication.bought, publication.bought_changed, publication.profile_ms, publication.profile_shown = rest[:4]
        if len(rest) > 4:
            publication.exposures = {told_name(told): told for told in rest[4]}
            publication.exposures_ms = rest[5]
        if len(rest) > 6:
            publication.shown, publication.shown_changed = rest[6:]
        return publication
