"""What is known of the one who asks, put together from the request and the profile."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from serving.ranking.request import Request
from serving.ranking.settings import RankingSettings


class View(NamedTuple):
    """An item that was viewed."""

    item_id: str
    age_ms: int
    """How long ago; 0: in this moment, as far as anybody knows."""
    in_session: bool


@dataclass(frozen=True)
class Context:
    """One question with all that is known beside it. Parts of a profile that are missing are empty here."""

    request: Request
    settings: RankingSettings
    profile: Mapping[str, Any] | None
    profile_read: bool = True
    """Whether that is all there is to know; False: the profile, or a part of it, could not be read."""

    def _map(self, name: str) -> Mapping[str, Any]:
        """A part of the profile; empty if it is not there, or no map."""
        found = (self.profile or {}).get(name)
        return found if isinstance(found, Mapping) else {}

    @cached_property
    def _recent(self) -> Mapping[str, Any]:
        return self._map("recent")

    @cached_property
    def features(self) -> Mapping[str, Any]:
        return self._map("features")

    @cached_property
    def views(self) -> tuple[View, ...]:
        """The last viewed items, each once, newest first: those of the request, then those of the profile."""
        found: dict[str, View] = {}
        for view in self._all_views:
            found.setdefault(view.item_id, view)
            if len(found) >= self.settings.recent_views:
                break
        return tuple(found.values())

    @cached_property
    def _all_views(self) -> tuple[View, ...]:
        """Every one that is known of, items that were viewed again as often as they were."""
        return tuple(self._each_view())

    def _each_view(self) -> Iterator[View]:
        request = self.request
        if request.product_id is not None:
            yield View(request.product_id, 0, True)
        for item_id in request.viewed:
            yield View(item_id, 0, True)
        viewed: Sequence[Sequence[Any]] = self._recent.get("viewed") or ()
        session_ms = self._recent.get("session_ms")
        goes_on = bool(viewed) and request.now_ms - viewed[0][1] <= self.settings.session_gap_ms
        for item_id, at_ms in viewed:
            in_session = goes_on and session_ms is not None and at_ms >= session_ms
            yield View(item_id, max(0, request.now_ms - at_ms), in_session)

    @cached_property
    def session(self) -> tuple[View, ...]:
        """Those of this session."""
        return tuple(view for view in self.views if view.in_session)

    @cached_property
    def cart(self) -> tuple[str, ...]:
        """What is in the cart: as the caller says, then as the profile says."""
        return tuple(dict.fromkeys((*self.request.cart, *(self._recent.get("cart") or ()))))

    def cart_age_ms(self, item_id: str) -> int:
        """How long ago an item of the cart was dealt with, as far as anybody knows: the cart itself has no times.

        That is since the newest view or purchase of it, or else since the session began. What the caller alone says to
        be in the cart came there after the profile was written: 0.
        """
        if item_id not in (self._recent.get("cart") or ()):
            return 0
        ages = [view.age_ms for view in self._all_views if view.item_id == item_id]
        ages += [age_ms for bought, age_ms in self.bought if bought == item_id]
        if ages:
            return min(ages)
        session_ms = self._recent.get("session_ms")
        return 0 if session_ms is None else max(0, self.request.now_ms - session_ms)

    @cached_property
    def bought(self) -> tuple[tuple[str, int], ...]:
        """(item, how long ago in ms), each once, newest first."""
        found: dict[str, int] = {}
        for item_id, at_ms in self._recent.get("bought") or ():
            found.setdefault(item_id, max(0, self.request.now_ms - at_ms))
        return tuple(found.items())

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The customer's segments, the one entered last first."""
        since = self._map("segments")
        return tuple(sorted(since, key=lambda name: (-since[name], name)))

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Categories of most interest, first the one of most."""
        return tuple(self.features.get("top_categories") or ())

    @property
    def device(self) -> str | None:
        """As the request says, else the profile."""
        return self.request.device or self.features.get("device")

    @property
    def location(self) -> str | None:
        """As the request says, else the profile."""
        return self.request.location or self.features.get("location")

    @property
    def has_history(self) -> bool:
        """Whether the profile tells of items, so that an answer is more than one to this session."""
        return any(self._recent.get(part) for part in ("viewed", "cart", "bought"))

    def remembers(self, kind: str, item_id: str) -> bool:
        """Whether the profile tells that this item was `viewed` or `bought`, or lies in the `cart`."""
        told = self._recent.get(kind) or ()
        return item_id in told if kind == "cart" else any(item_id == one for one, _ in told)

    @cached_property
    def left_out(self) -> frozenset[str]:
        """Never recommended now, whatever the catalog says: asked so, in the cart, being looked at, or just viewed."""
        request = self.request
        out = {*request.exclude, *self.cart}
        if request.product_id is not None:
            out.add(request.product_id)
        if not self.settings.viewed_again:
            out.update(view.item_id for view in self._all_views if view.in_session)
        return frozenset(out)

    @cached_property
    def bought_out(self) -> frozenset[str]:
        """Left out for being bought, unless their category is one to buy again."""
        return frozenset(item_id for item_id, age_ms in self.bought if age_ms <= self.settings.bought_out_ms)
