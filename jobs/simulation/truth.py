"""What a simulated log is made of: written beside it, so that what is computed from the log can be judged."""

from typing import Any

import msgspec

from jobs.simulation.catalogue import Catalogue
from jobs.simulation.customers import Customer
from jobs.simulation.kinds import NAMES
from jobs.simulation.settings import SimulationSettings


class ProductTruth(msgspec.Struct, frozen=True):
    """A product: what goes with it, and what stands in for it (product ids)."""

    category: str
    price_cents: int
    companions: list[str]
    substitutes: list[str]


class Counts(msgspec.Struct):
    """What the log holds: lines = events + duplicates + all malformed ones."""

    lines: int = 0
    events: int = 0
    duplicates: int = 0
    delayed: int = 0
    malformed: dict[str, int] = {}
    """By the reason of rejection."""
    types: dict[str, int] = {}
    """Events by type, without duplicates."""
    first_ms: int | None = None
    last_ms: int | None = None
    """The least and the greatest time of an event."""


class Truth(msgspec.Struct, frozen=True):
    """The content of truth.json."""

    settings: dict[str, Any]
    counts: Counts
    customers: dict[str, str]
    """Subject to kind, of all who have visited."""
    customers_after_shift: dict[str, str]
    """Of those only whose kind changes half way."""
    products: dict[str, ProductTruth]


def make_truth(settings: SimulationSettings, counts: Counts, customers: list[Customer], catalogue: Catalogue) -> Truth:
    """Gather it from what the simulation was made with."""
    return Truth(
        msgspec.to_builtins(settings),
        counts,
        {who.subject: NAMES[who.kind] for who in customers},
        {who.subject: NAMES[who.later_kind] for who in customers if who.later_kind != who.kind},
        {catalogue.ids[product]: _product(product, catalogue) for product in catalogue},
    )


def _product(product: int, catalogue: Catalogue) -> ProductTruth:
    ids = catalogue.ids
    return ProductTruth(
        catalogue.category(product),
        catalogue.price_cents[product],
        [ids[mate] for mate in catalogue.companions(product)],
        [ids[mate] for mate in catalogue.substitutes(product)],
    )
