"""What ranking reads: a protocol, so that Redis, a cache before it, or memory can serve it."""

import sys
from abc import abstractmethod
from collections.abc import Awaitable, Generator, Iterator, Mapping, Sequence
from enum import Enum
from math import sqrt
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar, overload

from serving.catalog.item import Item
from serving.ranking.clicks import Clicks

T = TypeVar("T")
ALL = "all"
"""The scope of what is popular with everybody."""


class Unread(Enum):
    """Stands for what the catalog says of an item where it could not be read: it may say anything."""

    UNREAD = "unread"


UNREAD: Final = Unread.UNREAD


class Ready(Generic[T]):
    """What a source gives where it need not wait: the value, without a coroutine, a task or a time limit for it.

    Most of what an answer reads is at hand, and these would cost more than the reading does.
    """

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, T]:
        """For whoever does not look first."""
        return self.value
        yield  # a generator is what `await` wants


class Incomplete(dict[str, Any]):
    """A profile of which a part could not be read: what is not in it may be so all the same."""


def category_scope(category: str) -> str:
    """The scope of what is popular in a category."""
    return f"category:{category}"


def segment_scope(segment: str) -> str:
    """The scope of what is popular with the members of a segment."""
    return f"segment:{segment}"


def new_scope(category: str) -> str:
    """The scope of a category's newest items, scored by `listed_ms`; written with the catalog."""
    return f"new:{category}"


class Neighbour(NamedTuple):
    """One entry of an item's list of similar items."""

    item_id: str
    score: float
    """About 0 to 1 (docs/similar-items.md)."""
    support: int
    """How many sessions or customers it rests on."""


class Neighbours(Sequence[Neighbour]):
    """An item's list, best first, that remembers its shares: for sources that keep lists between answers.

    How the list itself is kept is said by what is derived from this: the ranking reads the shares alone.
    """

    __slots__ = ("_shares",)

    def __init__(self) -> None:
        self._shares: dict[str, float] | None = None

    @abstractmethod
    def listed(self) -> Sequence[Neighbour]:
        """The list."""

    @property
    def shares(self) -> dict[str, float]:
        """Item: its part of the list's strength (votes.py). Not to be changed."""
        if self._shares is None:
            self._shares = shares_of(self.listed())
        return self._shares

    def __len__(self) -> int:
        return len(self.listed())

    def __iter__(self) -> Iterator[Neighbour]:
        return iter(self.listed())

    @overload
    def __getitem__(self, place: int) -> Neighbour: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Neighbour]: ...
    def __getitem__(self, place: int | slice) -> Neighbour | Sequence[Neighbour]:
        return self.listed()[place]


def shares_of(neighbours: Sequence[Sequence[Any]]) -> dict[str, float]:
    """Of each neighbour sqrt(score * support), divided by the sum of the list, largest first; empty if all are 0.

    Ids are interned: an item is in many lists, and these are what is kept of it.
    """
    if isinstance(neighbours, Neighbours):
        return neighbours.shares
    negative = [-sqrt(score * support) for _, score, support in neighbours]
    total = sum(negative)
    if not total:
        return {}
    ranked = sorted(zip(negative, (neighbour[0] for neighbour in neighbours), strict=True))
    return {sys.intern(item_id): strength / total for strength, item_id in ranked}


class Source(Protocol):
    """Answers questions of the ranking.

    Awaiting may raise any `Exception`, or take too long: the ranking then goes on without that part and says that its
    answer is degraded. What one answer asks for is awaited concurrently, unless it is `Ready`. What is returned must
    not be changed by anybody afterwards: it may be shared by many answers.
    """

    def profile(self, customer_id: str) -> Awaitable[Mapping[str, Any] | None]:
        """A customer's profile as `schemas.profiles.unpack_versioned` gives it; None: unknown or withdrawn.

        `Incomplete` if a part of it could not be read.
        """
        ...

    def similar(self, relation: str, item_ids: Sequence[str]) -> Awaitable[Sequence[Sequence[Neighbour]]]:
        """The neighbours of each item in their order, best first; an empty list for an item that has none.

        An entry may be any sequence (item_id, score, support), such as it comes out of MessagePack. A source that
        gives the same list to many answers gives it as `Neighbours`, so that its shares are worked out once.
        """
        ...

    def popular(self, scope: str, count: int) -> Awaitable[Sequence[tuple[str, float]]]:
        """The first `count` (item_id, score) of a scope, highest score first; empty for an unknown scope."""
        ...

    def items(self, item_ids: Sequence[str]) -> Awaitable[Sequence[Item | Unread | None]]:
        """What the catalog says of each item, in their order; None where it says nothing, UNREAD where nobody knows."""
        ...

    def clicks(self) -> Clicks:
        """What is known by now of clicks on what was recommended. Nobody waits for it, and it does not raise."""
        ...
