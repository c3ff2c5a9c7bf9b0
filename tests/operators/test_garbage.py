"""How seldom Python looks for reference cycles, and that there are none to be found."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from jobs.factories import make_customer_logic
from jobs.simulation import SimulationSettings, simulate
from operators.garbage import collect_seldom
from schemas.decode import Decoder
from schemas.rejects import Rejected
from schemas.settings import Settings
from state.local import LocalRun
from state.rules.ruleset import load_rules

EVENTS = 6_000


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(*threshold)


class Knot:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


class TestSeldom:
    def test_what_is_there_is_not_looked_at(self) -> None:
        knot = Knot()
        known = weakref.ref(knot)
        collect_seldom()
        del knot
        gc.collect()
        assert known() is not None

    def test_the_next_operator_that_is_opened_lets_go_of_it(self) -> None:
        """Such as of a job that was started anew in the same Python."""
        knot = Knot()
        known = weakref.ref(knot)
        collect_seldom()
        del knot
        collect_seldom()
        assert known() is None

    def test_a_cache_fills_without_a_collection(self) -> None:
        collect_seldom()
        began = [one["collections"] for one in gc.get_stats()]
        kept = [[number] for number in range(1_000_000)]
        assert [one["collections"] for one in gc.get_stats()] == began
        assert kept


def test_customers_make_no_cycles() -> None:
    """Else garbage would be there for long. Sessions end, windows run out, events come late and twice, some are bad."""
    settings, rules = Settings(), load_rules()
    run = LocalRun(make_customer_logic(settings, rules.text, rules.source, None), settings.out_of_orderness_ms)
    log = simulate(SimulationSettings(events=EVENTS, customers=300, duplicates=0.02, malformed=0.02, days=60))
    decode = Decoder(settings).decode
    made = []
    for line in log:
        try:
            subject, fact = decode(line)
        except Rejected:
            made.append(("", None, line))
        else:
            made.append((subject, fact.time_ms, line))
    said = 0
    for number, (subject, time_ms, line) in enumerate(made):
        if number == EVENTS // 2:  # what is made once is there
            gc.collect()
            gc.disable()
        said += len(run.feed(subject, time_ms, b"log:%d\x1f" % number + line))
    assert said > EVENTS
    assert gc.collect() == 0
