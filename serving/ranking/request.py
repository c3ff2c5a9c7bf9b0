"""What is asked of the ranking, and what it answers. Plain values: no server's request, no engine's state."""

import msgspec

DEFAULT_LIMIT = 10
MOST_ITEMS = 100
"""More than this is never answered at once."""

PERSONAL, SESSION, SEGMENT = "personal", "session", "segment"
CATEGORY, TRENDING, STATIC = "category", "trending", "static"
LEVELS = (PERSONAL, SESSION, SEGMENT, CATEGORY, TRENDING, STATIC)
"""The levels of fallback, the best first. A level that gives too few items is filled up from the next."""
PINNED = "pinned"
"""Level of an item that a rule of the shop put where it is."""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which items may be shown at all. An empty field asks for nothing.

    An item the catalog does not know passes only if nothing but `in_stock` is asked for; one that it could not be asked
    about, only if nothing is.
    """

    categories: tuple[str, ...] = ()
    """Of one of these categories."""
    tags: tuple[str, ...] = ()
    """With at least one of these tags."""
    without_tags: tuple[str, ...] = ()
    """With none of these tags."""
    least_price_cents: int | None = None
    most_price_cents: int | None = None
    in_stock: bool | None = None
    """None: leave out what the catalog says is out of stock; True: what it could not be asked about, too; False: show
    it."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One question: what to show this customer, there and then."""

    customer_id: str
    """May be unknown: the answer then comes from what else is said here, or from what everybody likes."""
    now_ms: int
    """The moment of asking, milliseconds since 1970 (UTC). Given, not looked up, so that an answer can be repeated."""
    limit: int = DEFAULT_LIMIT
    """At most so many items; 1 to `MOST_ITEMS`."""
    strategy: str | None = None
    """Name of a strategy (`serving/ranking/strategies`); None: the one of the settings."""
    page: str | None = None
    """Kind of page that asks (home, product, cart, …); rules of the shop may ask for it."""
    product_id: str | None = None
    """The item that is being looked at, the newest of the session. It is never recommended itself."""
    cart: tuple[str, ...] = ()
    """What is in the cart, as the caller knows it; added to what the profile says."""
    viewed: tuple[str, ...] = ()
    """Items viewed in this session, newest first, as the caller knows them; they go before those of the profile."""
    exclude: tuple[str, ...] = ()
    """Never to be recommended now."""
    location: str | None = None
    device: str | None = None
    """Where and on what; None: as the profile says."""
    filters: Filters = Filters()


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why an item is shown."""

    kind: str
    """For machines: viewed, cart, bought, segment, category, new, trending, returned, static or rule."""
    about: str | None
    """What it refers to: an item id, or for `segment` and `category` their name, for `rule` the rule's name."""
    text: str
    """For people, in English: "because you viewed X"."""


class Recommended(msgspec.Struct, frozen=True, gc=False):
    """One item of an answer."""

    item_id: str
    score: float
    """Comparable within one level of one answer, no further."""
    level: str
    """Which level of fallback gave it (`LEVELS`), or `PINNED`."""
    reasons: tuple[Reason, ...]
    """The weightiest first; at least one."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The items to show, the first one first."""

    items: tuple[Recommended, ...]
    strategy: str
    """Name of the strategy that was used."""
    level: str
    """The best level (first in `LEVELS`) that an item came from; `STATIC` if there are none."""
    degraded: bool = False
    """Whether something could not be read in time, so that the answer is poorer than it could be."""
    failed: tuple[str, ...] = ()
    """Which parts could not be read: `profile`, `similar`, `popular`, `items`. For metrics; no customer data."""
