"""A customer's third ledger: the newest impressions, and which of them were clicked.

An impression is one `recommendation_shown`. A click belongs to the newest impression of its product, of those with its
request if it names one; it counts nothing where there is none, and nothing more where that was clicked before.

Bound: the newest `LEDGER_MAX` impressions by event order, and of a request's id 16 characters.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from state.packing import pack, unpack
from state.similar.errors import expect_version

LEDGER_MAX: Final = 50
Shown: TypeAlias = tuple[int, str, int, bool]
"""What of an impression counts for its item: time_ms, product_id, position from 1, whether it was clicked."""
_VERSION: Final = 1


class Impression(NamedTuple):
    """One product that was on the screen."""

    time_ms: int
    product_id: str
    position: int
    request: str | None
    clicked: bool = False


class Impressions:
    """The newest of one customer, oldest first."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[Impression] = []

    def show(self, time_ms: int, product_id: str, position: int, request: str | None) -> None:
        """A recommendation was on the screen."""
        self.entries.append(Impression(time_ms, product_id, position, request))
        if len(self.entries) > LEDGER_MAX:
            del self.entries[0]

    def click(self, product_id: str, request: str | None) -> None:
        """A recommendation was clicked."""
        for place in range(len(self.entries) - 1, -1, -1):
            one = self.entries[place]
            if one.product_id == product_id and (request is None or one.request == request):
                self.entries[place] = one._replace(clicked=True)
                return

    def shown(self) -> list[Shown]:
        """What counts."""
        return [(one.time_ms, one.product_id, one.position, one.clicked) for one in self.entries]

    def packed(self) -> list[Any]:
        """In columns; each request once."""
        requests = list(dict.fromkeys(one.request for one in self.entries))
        request_of = {request: place for place, request in enumerate(requests)}
        return [*_columns(self.shown()), requests, bytes(request_of[one.request] for one in self.entries)]

    @classmethod
    def unpacked(cls, packed: Sequence[Any]) -> "Impressions":
        *columns, requests, request_of = packed
        impressions = cls()
        impressions.entries = [
            Impression(time_ms, product_id, position, requests[place], clicked)
            for (time_ms, product_id, position, clicked), place in zip(_rows(columns), request_of, strict=True)
        ]
        return impressions


def pack_shown(ledger: Sequence[Shown]) -> bytes:
    """What counts as versioned bytes, about 8 + the length of the product id for each entry."""
    packed: bytes = pack([_VERSION, *_columns(ledger)])
    return packed


def unpack_shown(packed: bytes) -> list[Shown]:
    """What counts again.

    Raises:
        SimilarStateError: a newer program wrote it.
    """
    version, *columns = unpack(packed)
    expect_version(version, _VERSION, "a ledger of impressions")
    return _rows(columns)


def _columns(ledger: Sequence[Shown]) -> list[Any]:
    """Times as steps from one to the next, products, a byte for each position, a bit for each click."""
    before, steps = 0, []
    for time_ms, _, _, _ in ledger:
        steps.append(time_ms - before)
        before = time_ms
    clicked = sum(1 << place for place, entry in enumerate(ledger) if entry[3])
    return [steps, [entry[1] for entry in ledger], bytes(entry[2] for entry in ledger), clicked]


def _rows(columns: Sequence[Any]) -> list[Shown]:
    steps, products, positions, clicked = columns
    time_ms, rows = 0, []
    for place, (step, product, position) in enumerate(zip(steps, products, positions, strict=True)):
        time_ms += step
        rows.append((time_ms, product, position, bool(clicked >> place & 1)))
    return rows
