"""What the shop remembers of its visitors: carts, what was looked at, what was recommended. In memory, and bounded.

Who comes is told by a cookie of 128 random bits. Events and questions to the API bear a hash of it instead: whoever
reads profiles or logs cannot become a visitor with what stands there.
"""

import hashlib
import re
import secrets
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

from examples.shop.catalogue import Product

MOST_VISITS = 10_000
"""So many visitors are remembered; of others, those come last are."""
MOST_OF_ONE = 99
"""Units of one product in a cart."""
_MOST_VIEWED = 10
_MOST_ANSWERS = 20
_TOKEN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Place:
    """Where an item stood in an answer of the API."""

    request_id: str
    position: int
    """From 1."""
    item_id: str
    variant: str | None


@dataclass
class Visit:
    """One visitor. To be read and changed under `lock`, by short steps."""

    token: str
    lock: Lock = field(default_factory=Lock)
    cart: dict[str, int] = field(default_factory=dict)
    """Item id to units, in the order in which they were added."""
    viewed: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_VIEWED))
    """Item ids, newest first, each once."""
    last_items: frozenset[str] | None = None
    """Of the answer before; None: there was none yet."""
    last_order: str | None = None
    answers: OrderedDict[str, tuple[Place, ...]] = field(default_factory=OrderedDict)

    @property
    def visitor_id(self) -> str:
        """What events and the API know the visitor as."""
        return visitor_id(self.token)

    def look_at(self, product: Product) -> None:
        """A product's page was opened."""
        with self.lock:
            if product.item_id in self.viewed:
                self.viewed.remove(product.item_id)
            self.viewed.appendleft(product.item_id)

    def add(self, product: Product) -> bool:
        """One more of a product; False: there are as many as there may be."""
        with self.lock:
            units = self.cart.get(product.item_id, 0)
            if units >= MOST_OF_ONE:
                return False
            self.cart[product.item_id] = units + 1
            return True

    def remove(self, product: Product) -> bool:
        """All units of a product; False: there were none."""
        with self.lock:
            return self.cart.pop(product.item_id, None) is not None

    def empty(self) -> dict[str, int]:
        """Take everything out of the cart, and return it."""
        with self.lock:
            taken, self.cart = self.cart, {}
            return taken

    def in_cart(self) -> dict[str, int]:
        """A copy of the cart."""
        with self.lock:
            return dict(self.cart)

    def just_viewed(self) -> tuple[str, ...]:
        """What was looked at, newest first."""
        with self.lock:
            return tuple(self.viewed)

    def recommended(self, places: Iterable[Place]) -> frozenset[str]:
        """Remember an answer of the API; returns which of its items were not in the one before."""
        with self.lock:
            listed = tuple(places)
            items = frozenset(place.item_id for place in listed)
            if listed:
                self.answers[listed[0].request_id] = listed
            while len(self.answers) > _MOST_ANSWERS:
                self.answers.popitem(last=False)
            fresh = frozenset() if self.last_items is None else items - self.last_items
            self.last_items = items
            return fresh

    def places(self, request_id: str) -> tuple[Place, ...]:
        """Of an answer; none if it was another visitor's, or is forgotten."""
        with self.lock:
            return self.answers.get(request_id, ())


def visitor_id(token: str) -> str:
    """The hash of a cookie under which events know a visitor."""
    return "v-" + hashlib.sha256(token.encode()).hexdigest()[:20]


class Visits:
    """Those who came last."""

    def __init__(self, most: int = MOST_VISITS) -> None:
        self._most, self._lock = most, Lock()
        self._visits: OrderedDict[str, Visit] = OrderedDict()

    def of(self, token: str | None) -> Visit:
        """The visit of a cookie. One that is none begins a new visit, with another token."""
        if token is None or not _TOKEN.fullmatch(token):
            token = secrets.token_hex(16)
        with self._lock:
            visit = self._visits.setdefault(token, Visit(token))
            self._visits.move_to_end(token)
            while len(self._visits) > self._most:
                self._visits.popitem(last=False)
            return visit

    def forget(self, visit: Visit) -> None:
        """As if there had been none."""
        with self._lock:
            self._visits.pop(visit.token, None)
