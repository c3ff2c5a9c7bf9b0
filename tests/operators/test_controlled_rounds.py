"""Other rules reach every customer in a round: at the same time for all, whatever happens before their turn."""

import json
from collections import Counter
from typing import Any

import pytest
from fake_flink import FakeRuntime, FakeWalk

import operators.controlled
import operators.rounds
from operators.controlled import ControlledCustomerOperator
from operators.customer import CustomerBinding
from operators.rounds import Rounds
from operators.tags import CHANGE_RECORDS, REDIS
from schemas.settings import Settings
from state.customer.logic import PLACE_END, CustomerLogic
from state.rules.ruleset import parse_rules
from state.similar.settings import SimilarSettings

T0 = 1_740_787_200_000
CUSTOMERS = [f"c{number:02d}" for number in range(12)]
BEFORE, AFTER = (
    parse_rules(f'name = "shop"\n[segments.{name}]\ndescription = "Was there."\nwhen = "views_7d >= 1"\n')
    for name in ("old", "new")
)


def operator() -> ControlledCustomerOperator:
    return ControlledCustomerOperator(
        lambda: CustomerLogic(Settings(), BEFORE, SimilarSettings()), CustomerBinding(bounded=False)
    )


def viewed(number: int, customer: str, at_ms: int) -> bytes:
    event = {
        "event_id": f"e{number}", "type": "product_viewed", "timestamp": at_ms, "customer_id": customer,
        "product_id": "p",
    }  # fmt: skip
    return b"place" + PLACE_END + json.dumps(event).encode()


def control(kind: str, **more: Any) -> bytes:
    return json.dumps({"control_id": kind, "kind": kind, **more}).encode()


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    """A job in which all customers have been there, at T0; each look at one takes a tenth of a second."""
    monkeypatch.setattr(operators.rounds.KeyWalk, "begun", FakeWalk)
    clock = iter(number / 10 for number in range(1_000_000))
    monkeypatch.setattr(operators.controlled, "Rounds", lambda *where: Rounds(*where, now_s=lambda: next(clock)))
    runtime = FakeRuntime(operator())
    runtime.watermark_ms = T0 - 1
    for number, customer in enumerate(CUSTOMERS):
        runtime.element(customer, viewed(number, customer, T0))
    runtime.advance(T0 + 100)
    assert said(runtime) == Counter({("old", "entered", T0): len(CUSTOMERS)})
    return runtime


def said(runtime: FakeRuntime) -> Counter[tuple[str, str, int]]:
    """Segment, change and time of what has been said since it was asked last."""
    told = [json.loads(record[1][1]) for record in runtime.outputs if record[0] is CHANGE_RECORDS]
    runtime.outputs.clear()
    return Counter((one["segment"], one["change"], one["at_ms"]) for one in told)


def restarted(runtime: FakeRuntime) -> FakeRuntime:
    """The operator anew, with state and timers of before, and without a watermark."""
    again = FakeRuntime(operator())
    again.states, again.broadcast, again.event_timers = runtime.states, runtime.broadcast, runtime.event_timers
    for state in (*runtime.states.values(), runtime.broadcast):
        state._runtime = again
    again.operator.open(again)
    return again


class TestRules:
    @pytest.mark.parametrize("at_ms", [None, T0 + 1_000])
    def test_all_follow_in_slices(self, runtime: FakeRuntime, at_ms: int | None) -> None:
        """As of one time, that of the record or the one in it; who does something first, then too."""
        from_ms = at_ms or T0 + 100
        runtime.broadcast_element("", control("rules", rules=AFTER.text, effective_ms=at_ms))
        runtime.advance(from_ms - 1)
        assert not said(runtime)
        runtime.advance(from_ms + 1)
        runtime.advance(from_ms + 2)
        first = said(runtime)
        assert 0 < first["new", "entered", from_ms] < len(CUSTOMERS)
        runtime.element(CUSTOMERS[-1], viewed(100, CUSTOMERS[-1], from_ms + 50))
        second = said(runtime)
        assert second == Counter({("new", "entered", from_ms): 1, ("old", "left", from_ms): 1})
        for later_ms in range(3, 40):
            runtime.advance(from_ms + later_ms)
        every = first + second + said(runtime)
        assert every == Counter({("new", "entered", from_ms): 12, ("old", "left", from_ms): 12})

    @pytest.mark.parametrize("slices", [0, 1, 3])
    def test_a_restart_in_the_middle(self, runtime: FakeRuntime, slices: int) -> None:
        """Those whose turn had not come follow, and nobody twice."""
        from_ms = T0 + 100
        runtime.broadcast_element("", control("rules", rules=AFTER.text))
        for later_ms in range(1, 2 + slices):
            runtime.advance(from_ms + later_ms)
        every = said(runtime)
        assert every["new", "entered", from_ms] < len(CUSTOMERS)
        again = restarted(runtime)
        for later_ms in range(10, 60):
            again.advance(from_ms + later_ms)
        assert every + said(again) == Counter({("new", "entered", from_ms): 12, ("old", "left", from_ms): 12})

    def test_a_restart_before_it(self, runtime: FakeRuntime) -> None:
        """What was planned stays so."""
        from_ms = T0 + 1_000
        runtime.broadcast_element("", control("rules", rules=AFTER.text, effective_ms=from_ms))
        again = restarted(runtime)
        again.event_timers.clear()  # it is not those that customers have for themselves
        again.element(CUSTOMERS[3], viewed(100, CUSTOMERS[3], T0 + 500))
        again.advance(T0 + 500)
        assert not said(again)
        for later_ms in range(40):
            again.advance(from_ms + later_ms)
        assert said(again) == Counter({("new", "entered", from_ms): 12, ("old", "left", from_ms): 12})


def test_publications_do_not_wait(runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is written as of one moment before time goes on."""

    def every_key(context: FakeRuntime, state_name: str, time_ms: int) -> bool:
        for key in context.states[state_name].by_key:
            context.event_timers[time_ms].add(key)
        return True

    monkeypatch.setattr(operators.controlled, "every_key", every_key)
    runtime = restarted(runtime)
    runtime.advance(T0 + 200)
    runtime.outputs.clear()
    runtime.broadcast_element("", control("publish", as_of_ms=T0 + 300))
    runtime.advance(T0 + 300)
    assert sum(one[0] is REDIS for one in runtime.outputs) >= len(CUSTOMERS)
