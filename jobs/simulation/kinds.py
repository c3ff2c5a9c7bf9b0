"""The latent kinds of customers: what a good segmentation should find again."""

from typing import NamedTuple


class Kind(NamedTuple):
    """How customers of one kind behave. Probabilities are per viewed product unless a name says otherwise."""

    name: str
    share: float
    """Of all customers."""
    visits: float
    """Mean visits while active, on the scale of the other kinds; the number of events asked for sets the total."""
    active: tuple[float, float]
    """The last day of activity, as shares of all days: between these two."""
    views: tuple[float, ...]
    """Deciles of products viewed in one visit."""
    add: float
    wishlist: float
    search: float
    """Probability that a visit begins with a search."""
    checkout: float
    """Probability that a visit with something in the cart goes to the checkout."""
    pay: float
    """Probability that a checkout is completed."""
    units: tuple[int, ...]
    """Quantities put into the cart, equally likely."""
    coupon: float
    """Probability of a coupon on an order."""
    refund: float
    """Probability that an order is refunded."""
    cheap: bool
    """Prefers the cheap half of a category."""


_FEW = (1, 1, 1, 1, 2, 2, 3, 4, 5, 8, 16)
_SOME = (1, 1, 2, 3, 4, 5, 6, 8, 10, 15, 30)
_MANY = (2, 3, 4, 6, 7, 9, 11, 14, 18, 26, 60)
_BULK = (6, 8, 10, 12, 13, 15, 17, 19, 22, 26, 40)

KINDS = (
    Kind("loyal", 0.08, 9.0, (1.0, 1.0), _SOME, 0.17, 0.03, 0.45, 0.75, 0.9, (1, 1, 1, 2), 0.12, 0.06, False),
    Kind("bargain-hunter", 0.15, 4.0, (1.0, 1.0), _MANY, 0.08, 0.04, 0.65, 0.4, 0.7, (1, 1, 2, 3), 0.8, 0.12, True),
    Kind("browser", 0.22, 3.2, (1.0, 1.0), _MANY, 0.012, 0.02, 0.35, 0.2, 0.6, (1,), 0.1, 0.08, False),
    Kind("window-shopper", 0.20, 2.6, (1.0, 1.0), _SOME, 0.12, 0.08, 0.4, 0.04, 0.05, (1, 1, 1, 2), 0.1, 0.05, False),
    Kind("one-off", 0.24, 1.6, (0.0, 1.0), _FEW, 0.26, 0.01, 0.55, 0.7, 0.85, (1,), 0.3, 0.08, False),
    Kind("lapsing", 0.10, 4.5, (0.25, 0.7), _SOME, 0.16, 0.03, 0.4, 0.65, 0.85, (1, 1, 1, 2), 0.15, 0.10, False),
    Kind("wholesale", 0.01, 7.0, (1.0, 1.0), _BULK, 0.75, 0.0, 0.2, 0.8, 0.95, (6, 12, 24, 36, 60), 0.05, 0.03, False),
)
NAMES = tuple(kind.name for kind in KINDS)

AFTER_SHIFT = {"browser": "loyal", "bargain-hunter": "window-shopper", "loyal": "browser"}
"""With `shift_at`: what every second customer of a kind turns into."""
