"""Settings of the ranking, with defaults that suit a shop of ordinary size."""

import msgspec

from schemas.settings import DAY_MS, MINUTE_MS


class RankingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How recommendations are made. A table `[ranking]` of the serving settings may change each.

    Raises:
        ValueError: a setting is out of its range; the message names it.
    """

    strategy: str = "personal"
    """The one that is used when a request names none."""
    part_timeout_ms: int = 40
    """How long one part of an answer (profile, similar, popular, items) is waited for; 0: as long as it takes."""
    session_gap_ms: int = 30 * MINUTE_MS
    """After so long without a view a session is over."""
    recent_views: int = 10
    """So many of the last viewed items are used."""
    recent_half_life_ms: int = 3 * DAY_MS
    """A view of an earlier session counts half after so long."""
    bought_half_life_ms: int = 30 * DAY_MS
    """What goes with something bought counts half after so long."""
    bought_out_ms: int = 180 * DAY_MS
    """For so long something bought is not recommended again."""
    bought_again: tuple[str, ...] = ()
    """Categories of which things are bought again and again (coffee, nappies): never left out for being bought."""
    viewed_again: bool = False
    """Whether items viewed in this session may be recommended ("go on where you were")."""
    new_days: int = 30
    """An item is new for so many days after it was listed."""
    segments_used: int = 3
    """So many of a customer's segments are asked what they like, those entered last first."""
    categories_used: int = 3
    """So many of a customer's top categories."""
    category_share: float = 0.7
    """At most this share of an answer's places go to one category, while there are other candidates; 1: no cap."""
    diversity: float = 0.0
    """0: by score alone; towards 1: the more an item is like those before it, the further down it goes (MMR)."""
    click_weight: float = 0.5
    """How much clicks on what was recommended before say: the power of their factor; 0: nothing, 1: all of it."""
    static: tuple[str, ...] = ()
    """Shown when nothing else is known, best first."""
    rules_file: str | None = None
    """TOML file of the shop's own rules (docs/recommendations.md)."""

    @property
    def new_ms(self) -> int:
        """For so long an item is new."""
        return self.new_days * DAY_MS

    def __post_init__(self) -> None:
        for name in ("session_gap_ms", "recent_half_life_ms", "bought_half_life_ms", "recent_views", "new_days"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least 1")
        for name in ("part_timeout_ms", "bought_out_ms", "segments_used", "categories_used"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must not be negative")
        if not 0 < self.category_share <= 1:
            raise ValueError(f"category_share = {self.category_share}: must be above 0 and at most 1")
        for name in ("diversity", "click_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be between 0 and 1")
