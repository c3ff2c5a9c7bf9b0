"""What a similarity counts, and how much: the constants of both relations in one place."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from schemas.settings import Settings

Relation: TypeAlias = Literal["viewed-with", "bought-with"]

VIEWED_WITH: Final = "viewed-with"
"""Products seen in the same session; nearer counts more."""
BOUGHT_WITH: Final = "bought-with"
"""Products of one order, or bought by one customer within `bought_span_ms`."""
RELATIONS: Final[tuple[Relation, Relation]] = (VIEWED_WITH, BOUGHT_WITH)

DAY_MS: Final = 86_400_000
FULL: Final = 64
"""What one appearance of a product counts, and the most that one pair can count, before its weight by age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarSettings:
    """Settings of the similar items. Changing those marked (*) needs a rebuild: they are part of every stored sum.

    Raises:
        ValueError: a setting is out of its range; the message names it.
    """

    viewed_half_life_ms: int = 30 * DAY_MS
    """(*) After this long a co-view weighs half of a new one."""
    bought_half_life_ms: int = 90 * DAY_MS
    """(*) After this long a co-purchase weighs half of a new one."""
    near: tuple[int, ...] = (64, 32, 21, 16, 13, 11, 9, 8, 7, 6)
    """(*) What a pair counts by its distance in the session, first: neighbours; its length is the farthest distance."""
    same_order: int = FULL
    """(*) What a pair of one order counts."""
    other_order: int = FULL // 2
    """(*) What a pair of two orders of a customer counts, if they are near enough in time."""
    bought_span_ms: int = 30 * DAY_MS
    """(*) Two purchases at most this far apart make a pair."""
    ledger_max: int = 50
    """(*) Newest entries of a customer that make pairs, in either ledger."""
    viewed_shrink: int = 10
    """Support at which a viewed-with score is halved: the doubt about rare pairs. 0: none."""
    bought_shrink: int = 10
    """The same for bought-with."""
    candidates_max: int = 200
    """Partners of the largest sums that are scored."""
    neighbours_max: int = 50
    """Neighbours of a published list."""

    def __post_init__(self) -> None:
        at_least = {
            "viewed_half_life_ms": DAY_MS,
            "bought_half_life_ms": DAY_MS,
            "bought_span_ms": 0,
            "ledger_max": 2,
            "viewed_shrink": 0,
            "bought_shrink": 0,
            "candidates_max": 1,
            "neighbours_max": 1,
        }
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least {least}")
        counts = (*self.near, self.same_order, self.other_order)
        if not self.near or any(not 1 <= count <= FULL for count in counts):
            raise ValueError(f"near, same_order and other_order must be integers in 1..{FULL}, near not empty")

    def half_life_ms(self, relation: Relation) -> int:
        """Half-life of an interaction of this relation."""
        return self.viewed_half_life_ms if relation == VIEWED_WITH else self.bought_half_life_ms

    def shrink(self, relation: Relation) -> int:
        """Support at which a score of this relation is halved."""
        return self.viewed_shrink if relation == VIEWED_WITH else self.bought_shrink


def similar_settings(settings: Settings) -> SimilarSettings:
    """The part of the settings that the similar items take."""
    return SimilarSettings(
        viewed_half_life_ms=settings.viewed_half_life_ms,
        bought_half_life_ms=settings.bought_half_life_ms,
        bought_span_ms=settings.bought_span_ms,
    )
