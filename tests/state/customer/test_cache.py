"""Who stays in memory: those who come, not those for whom time passes."""

import json

from customer_runs import NOW_MS, PATIENT, RULES, SIMILAR

from schemas.settings import DAY_MS
from state.customer.logic import CustomerLogic
from state.local import DictStore

START_MS = 1_767_225_600_000


class Counted(DictStore):
    """Knows how often it was read."""

    loads = 0

    def load(self) -> bytes | None:
        self.loads += 1
        return super().load()


def view(customer: str, time_ms: int) -> bytes:
    event = {"event_id": f"{customer}-{time_ms}", "type": "product_viewed", "timestamp": time_ms, "product_id": "p"}
    return b"file:1\x1f" + json.dumps(event | {"customer_id": customer}).encode()


def test_time_crowds_nobody_out() -> None:
    """Windows of many run out between two events of one."""
    logic = CustomerLogic(PATIENT, RULES, SIMILAR, cached_customers=10, now_ms=lambda: NOW_MS)
    absent = {f"absent-{number}": Counted() for number in range(100)}
    for customer, store in absent.items():
        logic.on_event(customer, view(customer, START_MS), START_MS - 1, store)
    here, now_ms = Counted(), START_MS + DAY_MS
    logic.on_event("here", view("here", now_ms), now_ms - 1, here)
    profiles = logic.tally.profiles
    for customer, store in absent.items():
        logic.on_timer(customer, now_ms, now_ms, store)
    logic.on_event("here", view("here", now_ms + 1), now_ms, here)
    assert here.loads == 1
    assert logic.tally.profiles >= profiles + len(absent)
    assert sum(store.loads for store in absent.values()) > 1.8 * len(absent)
