"""Orders of the simulated shop, and what becomes undone of them."""

from random import Random

from jobs.simulation.catalogue import Catalogue
from jobs.simulation.draws import from_deciles
from jobs.simulation.emitter import Emitter
from jobs.simulation.kinds import Kind
from jobs.simulation.settings import REFUND_LEAD_MS
from schemas.settings import DAY_MS, HOUR_MS, MINUTE_MS

REFUND_DELAY_MS = tuple(int(days * DAY_MS) for days in (0.05, 1, 2, 3, 4, 6, 8, 11, 15, 22, 40))
CANCEL_SHARE, UNKNOWN_SHARE, TWICE_SHARE, FIRST_SHARE = 0.015, 0.04, 0.004, 0.33
"""Of orders: cancelled; refunds (of refunds) that name no order of the log; completed twice; refunded beforehand."""
COUPONS = ("SPRING", "WELCOME10", "LAST-CHANCE", "FRIENDS")


class Orders:
    """Places orders and, at the same moment, decides what will be undone of them and when."""

    def __init__(self, catalogue: Catalogue, emitter: Emitter, random: Random, refunds_first: bool) -> None:
        self._catalogue = catalogue
        self._emitter = emitter
        self._draw = random.random
        self._refunds_first = refunds_first
        self._count = 0

    def products(self, units: dict[int, int]) -> str:
        """The member `products` of an event."""
        return f',"products":[{",".join(self._line(product, count) for product, count in units.items())}]'

    def place(self, time_ms: int, identity: str, cart: dict[int, int], kind: Kind, tail: str, text_time: bool) -> None:
        """Emit an order of what is in the cart, and all that follows from it.

        What is undone later comes from the shop's office: it bears the customer's identity, but no session or context.
        """
        draw = self._draw
        self._count += 1
        order_id = f"o{self._count:07d}"
        cents = sum(self._catalogue.price_cents[product] * count for product, count in cart.items())
        coupon = draw() < kind.coupon
        if coupon:
            cents = cents * 9 // 10
        members = f',"order_id":"{order_id}"{self.products(cart)}{self._total(cents, coupon)}'
        arrival_ms = time_ms
        undone = draw()
        if undone < kind.refund:
            arrival_ms = self._refund(time_ms, order_id, cart, cents, f"{identity}}}")
        elif undone > 1 - CANCEL_SHARE:
            later_ms = time_ms + MINUTE_MS + int(draw() * DAY_MS)
            self._emitter.emit(later_ms, "order_cancelled", f',"order_id":"{order_id}"', f"{identity}}}", False)
        self._emitter.emit(time_ms, "order_completed", members, tail, text_time, arrival_ms)
        if draw() < TWICE_SHARE:  # the shop reports the order again, as another event
            self._emitter.emit(time_ms + MINUTE_MS, "order_completed", members, tail, text_time)

    def _total(self, cents: int, coupon: bool) -> str:
        """Most orders state a total (with postage, or less a coupon); without one, it is the sum of the lines."""
        draw = self._draw
        currency = f',"currency":"{self._catalogue.currency}"'
        if coupon:
            code = COUPONS[int(draw() * len(COUPONS))]
            return f',"total":{self._catalogue.amount(cents)},"coupon":"{code}"{currency}'
        if draw() < 0.7:
            postage = 0 if cents > 5_000 else 495
            return f',"total":{self._catalogue.amount(cents + postage)}{currency}'
        return currency

    def _refund(self, time_ms: int, order_id: str, cart: dict[int, int], cents: int, tail: str) -> int:
        """Emit the refunds of an order; returns when the order itself arrives."""
        draw = self._draw
        if draw() < UNKNOWN_SHARE:
            order_id = f"lost-{order_id}"
        refund_ms = time_ms + int(from_deciles(draw, REFUND_DELAY_MS))
        refund_arrival_ms, order_arrival_ms = refund_ms, time_ms
        if self._refunds_first and draw() < FIRST_SHARE:
            lead_ms = MINUTE_MS + int(draw() * (REFUND_LEAD_MS - MINUTE_MS - 1))
            if draw() < 0.5:  # the refund is later by its timestamp, yet arrives first
                refund_ms = refund_arrival_ms = time_ms + lead_ms
                order_arrival_ms = refund_ms + 1
            else:  # a clock that was wrong: the refund bears an earlier timestamp than the order
                refund_ms, refund_arrival_ms = time_ms - lead_ms, time_ms + 1
        members = f',"order_id":"{order_id}"{self._what(cart, cents)}'
        self._emitter.emit(refund_ms, "order_refunded", members, tail, False, refund_arrival_ms)
        if draw() < 0.1:
            again_ms = max(refund_ms, refund_arrival_ms) + HOUR_MS + int(draw() * DAY_MS)
            self._emitter.emit(
                again_ms, "order_refunded", f',"order_id":"{order_id}"{self._what(cart, cents)}', tail, False
            )
        return order_arrival_ms

    def _what(self, cart: dict[int, int], cents: int) -> str:
        """The whole order, some of its products, an amount, or products with an amount."""
        draw = self._draw
        mark = draw()
        if mark < 0.45:
            return ""
        if mark < 0.6:
            return f',"total":{self._catalogue.amount(1 + int(draw() * cents))}'
        some = {product: 1 + int(draw() * count) for product, count in cart.items() if draw() < 0.5}
        if not some:
            some = dict([next(iter(cart.items()))])
        if mark < 0.9:
            priced = draw() < 0.5
            lines = (
                self._line(product, count) if priced else self._bare(product, count) for product, count in some.items()
            )
            return f',"products":[{",".join(lines)}]'
        return f'{self.products(some)},"total":{self._catalogue.amount(1 + int(draw() * cents))}'

    def _line(self, product: int, count: int) -> str:
        catalogue = self._catalogue
        price = catalogue.amount(catalogue.price_cents[product])
        category = catalogue.category(product)
        return f'{{"product_id":"{catalogue.ids[product]}","quantity":{count},"price":{price},"category":"{category}"}}'

    def _bare(self, product: int, count: int) -> str:
        return f'{{"product_id":"{self._catalogue.ids[product]}","quantity":{count}}}'
