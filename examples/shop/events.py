"""What happens in the shop, on its way to `POST /v1/events`: no page waits for it.

One thread sends in order. What the API cannot take now is sent again, with the same ids, so nothing counts twice; what
it refuses is told on standard error and dropped. At most `MOST_WAITING` events wait; then the oldest are dropped.
"""

import sys
import time
import uuid
from collections import deque
from collections.abc import Iterator
from threading import Condition, Thread
from typing import Any

from examples.shop.api import Api, ApiError
from examples.shop.catalogue import CURRENCY, Product, major_units
from examples.shop.visits import Place, Visit

MOST_WAITING = 10_000
_BATCH = 100
_TIMEOUT_S = 15.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_LAST_TRIES_S = 3.0
_AGAIN = (408, 429)
"""Statuses below 500 after which it is worth trying again."""


class Events:
    """Takes events at once, and sends them as the API takes them."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._waiting: deque[dict[str, Any]] = deque()
        self._changed = Condition()
        self._ends_at: float | None = None
        self._troubled = False
        self._thread = Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def put(self, *events: dict[str, Any]) -> None:
        """To be sent soon."""
        with self._changed:
            self._waiting.extend(events)
            dropped = max(0, len(self._waiting) - MOST_WAITING)
            for _ in range(dropped):
                self._waiting.popleft()
            self._changed.notify_all()
        if dropped:
            _say(f"{dropped} events dropped: {MOST_WAITING:,} wait already")

    def close(self) -> None:
        """Send what waits, for three seconds at most."""
        with self._changed:
            self._ends_at = time.monotonic() + _LAST_TRIES_S
            self._changed.notify_all()
        self._thread.join(_LAST_TRIES_S + 1)
        if self._waiting:
            _say(f"{len(self._waiting)} events could not be sent")

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while batch := self._next():
            try:
                self._send(batch)
            except ApiError as error:
                if not self._troubled:
                    _say(f"events wait: {error}")
                self._troubled = True
                if not self._pause(pause_s):
                    return
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            else:
                if self._troubled:
                    _say("events are taken again")
                self._troubled, pause_s = False, _FIRST_PAUSE_S
                self._done(batch)

    def _next(self) -> list[dict[str, Any]]:
        """The oldest events, which stay where they are; none: it is time to end."""
        with self._changed:
            while not self._waiting and self._ends_at is None:
                self._changed.wait()
            return [self._waiting[place] for place in range(min(_BATCH, len(self._waiting)))]

    def _done(self, batch: list[dict[str, Any]]) -> None:
        with self._changed:
            sent = {id(event) for event in batch}  # those that are still there: others may have been dropped meanwhile
            while self._waiting and id(self._waiting[0]) in sent:
                self._waiting.popleft()

    def _pause(self, pause_s: float) -> bool:
        """False: there is no time left for another try."""
        with self._changed:
            self._changed.wait_for(lambda: self._ends_at is not None, pause_s)
            ends_at = self._ends_at
        if ends_at is None:
            return True
        time.sleep(0.2)
        return time.monotonic() < ends_at

    def _send(self, batch: list[dict[str, Any]]) -> None:
        """One batch.

        Raises:
            ApiError: it is to be sent again.
        """
        timeout_s = _TIMEOUT_S if self._ends_at is None else _LAST_TRIES_S
        answer = self._api.post("/v1/events", {"events": batch}, timeout_s)
        if answer.status >= 500 or answer.status in _AGAIN:
            raise ApiError(f"the API says {answer.status}")
        if answer.status not in (200, 422):
            _say(f"{len(batch)} events dropped: the API says {answer.status}")
            return
        for reason, detail in _rejected(answer.body):
            _say(f"an event was rejected: {reason}: {detail}")


def _rejected(body: Any) -> Iterator[tuple[Any, Any]]:
    items = body.get("items") if isinstance(body, dict) else None
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and item.get("status") == "rejected":
            yield item.get("reason"), item.get("detail")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def of_product(kind: str, visit: Visit, product: Product) -> dict[str, Any]:
    """`product_viewed`, `product_added` or `product_removed`."""
    return _event(kind, visit) | {
        "product_id": product.item_id,
        "category": product.category,
        "price": product.price,
        "currency": CURRENCY,
    }


def of_order(visit: Visit, order_id: str, bought: dict[Product, int]) -> dict[str, Any]:
    """`order_completed`."""
    lines = [
        {"product_id": one.item_id, "quantity": units, "price": one.price, "category": one.category}
        for one, units in bought.items()
    ]
    total = sum(product.price_cents * units for product, units in bought.items())
    return _event("order_completed", visit) | {
        "order_id": order_id,
        "products": lines,
        "total": major_units(total),
        "currency": CURRENCY,
    }


def of_place(kind: str, visit: Visit, place: Place) -> dict[str, Any]:
    """`recommendation_shown` or `recommendation_clicked`. Its id is made of the place: once it counts, not twice."""
    event = _event(kind, visit) | {
        "event_id": f"{kind}-{place.request_id}-{place.position}",
        "product_id": place.item_id,
        "position": place.position,
        "request_id": place.request_id,
    }
    return event if place.variant is None else event | {"variant": place.variant}


def of_erasure(visit: Visit) -> dict[str, Any]:
    """`erase`: all that is known of the visitor is to be forgotten."""
    return _event("erase", visit)


def _event(kind: str, visit: Visit) -> dict[str, Any]:
    return {
        "event_id": f"shop-{uuid.uuid4().hex}",
        "type": kind,
        "timestamp": time.time_ns() // 1_000_000,
        "anonymous_id": visit.visitor_id,
    }
