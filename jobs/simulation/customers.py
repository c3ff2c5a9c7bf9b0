"""The simulated customers: who they are, and when each of them is about."""

from itertools import accumulate
from random import Random
from typing import NamedTuple

from jobs.simulation.catalogue import Catalogue
from jobs.simulation.draws import SPREAD, Draw, from_deciles, pick_weighted
from jobs.simulation.kinds import AFTER_SHIFT, KINDS, NAMES
from jobs.simulation.settings import SimulationSettings

DEVICES = ("mobile", "mobile", "mobile", "desktop", "desktop", "tablet")
LOCATIONS = ("DE", "FR", "GB", "US", "US", "NL", "ES", "Österreich", "日本")
ANONYMOUS_SHARE = 0.12
SESSION_ID_SHARE = 0.6
NEWCOMER_SHARE = 0.3
"""Of the customers, these do not shop here from the first day on."""


class Customer(NamedTuple):
    """What stays the same about a customer."""

    subject: str
    identity: str
    """The JSON members that identify the customer in events."""
    kind: int
    later_kind: int
    """The kind after the shift."""
    weight: float
    """Visits per active day, on a common scale."""
    first_day: int
    last_day: int
    has_session_ids: bool
    categories: tuple[int, ...]
    device: str
    location: str


def make_customers(settings: SimulationSettings, catalogue: Catalogue, random: Random) -> list[Customer]:
    """All customers, in the order of their names."""
    shares = list(accumulate(kind.share for kind in KINDS))
    return [_make(index, shares, settings, catalogue, random.random) for index in range(settings.customers)]


def _make(index: int, shares: list[float], settings: SimulationSettings, catalogue: Catalogue, draw: Draw) -> Customer:
    kind = pick_weighted(draw, shares)
    subject, identity = _identity(index, draw)
    first, last = _active_days(kind, settings.days, draw)
    # who comes later comes less often in all; who leaves for good was about like the others until then
    active_days = last - first + 1 if NAMES[kind] in ("one-off", "lapsing") else settings.days
    weight = KINDS[kind].visits * from_deciles(draw, SPREAD) / active_days
    later = NAMES.index(AFTER_SHIFT.get(NAMES[kind], NAMES[kind])) if draw() < 0.5 else kind
    wanted = tuple(int(draw() * catalogue.width) for _ in range(3))
    return Customer(
        subject,
        identity,
        kind,
        later if settings.shift_at is not None else kind,
        weight,
        first,
        last,
        draw() < SESSION_ID_SHARE,
        wanted,
        DEVICES[int(draw() * len(DEVICES))],
        LOCATIONS[int(draw() * len(LOCATIONS))],
    )


def _identity(index: int, draw: Draw) -> tuple[str, str]:
    """A customer who never logs in has only an anonymous id; some of the others have both."""
    visitor = f"a{index * 2_654_435_761 % (1 << 32):08x}"  # an odd factor: different for different customers
    if draw() < ANONYMOUS_SHARE:
        return visitor, f',"anonymous_id":"{visitor}"'
    name = f"c{index:06d}"
    both = f',"anonymous_id":"{visitor}"' if draw() < 0.3 else ""
    return name, f',"customer_id":"{name}"{both}'


def _active_days(kind: int, days: int, draw: Draw) -> tuple[int, int]:
    if NAMES[kind] == "one-off":
        first = int(draw() * days)
        return first, min(days - 1, first + 1)
    low, high = KINDS[kind].active
    last = min(days - 1, int((low + (high - low) * draw()) * days))
    late = draw() < NEWCOMER_SHARE and NAMES[kind] != "lapsing"
    return (int(draw() * days * 0.9) if late else 0), last
