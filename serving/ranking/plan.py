"""What a strategy wants to hear before it decides: lists of similar items and scopes of popular ones, with weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple


class ListVoice(NamedTuple):
    """The neighbours of an item have a say."""

    relation: str
    item_id: str
    weight: float
    """What they have to give in all: it is shared among them."""
    kind: str
    """Why the item is asked: `viewed`, `cart` or `bought`."""
    age_ms: int = 0
    """How long ago that was; 0 of the cart, which has no times."""


class ScopeVoice(NamedTuple):
    """What is popular in a scope has a say."""

    scope: str
    most: int
    """So many items of it are asked for."""
    weight: float
    kind: str
    """`segment`, `category`, `new` or `trending`."""
    about: str | None
    """Name of the segment or category."""
    for_ms: float = inf
    """Of kind `new`: what was listed longer ago is not new."""


class OwnVoice(NamedTuple):
    """An item has a say for itself: one that was just viewed, as a place to return to."""

    item_id: str
    weight: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All voices of a strategy for one question."""

    lists: tuple[ListVoice, ...] = ()
    scopes: tuple[ScopeVoice, ...] = ()
    own: tuple[OwnVoice, ...] = ()


@dataclass(slots=True)
class Heard:
    """What was read for a plan; what could not be read is missing."""

    lists: dict[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    """(relation, item): the share of each neighbour in its list, largest first."""
    scopes: dict[str, Sequence[tuple[str, float]]] = field(default_factory=dict)
    """Scope: (item, score), highest score first."""
    scope_shares: dict[str, Mapping[str, float]] = field(default_factory=dict)
    """Scope: the shares that votes.py has made of it; scores and reasons both ask for them."""
