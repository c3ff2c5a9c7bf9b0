"""A customer's third ledger: the newest impressions, and which of them were clicked.

An impression is one `recommendation_shown`. A click belongs to the newest impression of its product, of those with its
request if it names one; it counts nothing where there is none, and nothing more where that was clicked before.

Bound: the newest `LEDGER_MAX` impressions by event order, and of a request's id 16 characters. A longer list of one
request stays whole until something else is shown, up to `LIST_MAX`: or else its last places would push out its first
ones, where most of the clicks are.
"""

from collections.abc import Sequence
from itertools import accumulate
from operator import sub
from typing import Any, Final, TypeAlias

from schemas.facts import LAST_POSITION
from state.packing import pack, unpack
from state.similar.errors import expect_version

LEDGER_MAX: Final = 50
LIST_MAX: Final = LAST_POSITION
Shown: TypeAlias = tuple[int, str, int, int]
"""What of an impression counts for its item: time_ms, product_id, position from 1, and 1 if it was clicked, else 0."""
_VERSION: Final = 1


class Impressions:
    """The newest of one customer, oldest first: in columns, as they are packed, since that is done more often."""

    __slots__ = ("_clicked", "_positions", "_products", "_requests", "_times_ms")

    def __init__(self) -> None:
        self._times_ms: list[int] = []
        self._products: list[str] = []
        self._positions = bytearray()
        self._clicked = bytearray()
        self._requests: list[str | None] = []

    def show(self, time_ms: int, product_id: str, position: int, request: str | None) -> None:
        """A recommendation was on the screen."""
        self._times_ms.append(time_ms)
        self._products.append(product_id)
        self._positions.append(position)
        self._clicked.append(0)
        self._requests.append(request)
        surplus = len(self._products) - LEDGER_MAX
        if surplus > 0 and request is not None and self._requests.count(request) == len(self._requests):
            surplus = len(self._products) - LIST_MAX
        if surplus > 0:
            for column in (self._times_ms, self._products, self._positions, self._clicked, self._requests):
                del column[:surplus]

    def click(self, product_id: str, request: str | None) -> None:
        """A recommendation was clicked."""
        products, requests = self._products, self._requests
        for place in range(len(products) - 1, -1, -1):
            if products[place] == product_id and (request is None or requests[place] == request):
                self._clicked[place] = 1
                return

    def shown(self) -> list[Shown]:
        """What counts."""
        return list(zip(self._times_ms, self._products, self._positions, self._clicked, strict=True))

    def requests(self) -> list[str | None]:
        """The request of each of `shown`, if it named one."""
        return self._requests.copy()

    def packed(self) -> list[Any]:
        """Times as steps from one to the next; each request once."""
        requests = list(dict.fromkeys(self._requests))
        place_of = {request: place for place, request in enumerate(requests)}
        return [
            _steps(self._times_ms), self._products, bytes(self._positions), bytes(self._clicked), requests,
            bytes(map(place_of.__getitem__, self._requests)),
        ]  # fmt: skip

    @classmethod
    def unpacked(cls, packed: Sequence[Any]) -> "Impressions":
        steps, products, positions, clicked, requests, places = packed
        impressions = cls()
        impressions._times_ms, impressions._products = list(accumulate(steps)), list(products)
        impressions._positions, impressions._clicked = bytearray(positions), bytearray(clicked)
        impressions._requests = [requests[place] for place in places]
        return impressions


def pack_shown(ledger: Sequence[Shown]) -> bytes:
    """What counts as versioned bytes, about 8 + the length of the product id for each entry."""
    times_ms, products, positions, clicked = zip(*ledger, strict=True) if ledger else ((), (), (), ())
    packed: bytes = pack([_VERSION, _steps(times_ms), products, bytes(positions), bytes(clicked)])
    return packed


def unpack_shown(packed: bytes) -> list[Shown]:
    """What counts again.

    Raises:
        SimilarStateError: a newer program wrote it.
    """
    version, *columns = unpack(packed)
    expect_version(version, _VERSION, "a ledger of impressions")
    steps, products, positions, clicked = columns
    return list(zip(accumulate(steps), products, positions, clicked, strict=True))


def _steps(times_ms: Sequence[int]) -> list[int]:
    """From nothing to the first, and from each to the next."""
    return list(map(sub, times_ms, (0, *times_ms)))
