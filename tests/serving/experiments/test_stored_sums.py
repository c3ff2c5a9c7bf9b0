"""Which stored sums a report is made of."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.profiles import pack_versioned
from schemas.variant_label import Arm
from serving.experiments.stored import unpack_stored
from state.experiments.logic import body
from state.experiments.sums import Outcome
from state.experiments.tally import Tally
from state.experiments.told import Told

ARMS = st.sampled_from(
    [Arm("e", "a", 1, "1:1"), Arm("e", "b", 2, "1:1"), Arm("e", "b", 3, "9:1:1"), Arm("e", "c", 0, "")]
)
COUNT = st.integers(0, 10_000)
TOLD = st.builds(
    Told,
    ARMS,
    st.sampled_from([(), ("vip",), ("vip", "new")]),
    st.booleans(),
    st.builds(Outcome, COUNT, COUNT, COUNT, st.integers(-(2**40), 2**40)),
)


def tally_of(told: list[Told]) -> Tally:
    tally = Tally()
    for one in told:
        tally.take(None, one)
    return tally


class TestStoredSums:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(TOLD, max_size=12))
    def test_what_customers_have_is_let_through(self, told: list[Told]) -> None:
        """Whatever they did, refunds of more than was paid included."""
        tally = tally_of(told)
        stored = unpack_stored(pack_versioned(1, 77, body(tally)))
        assert stored is not None
        assert (stored.value["as_of_ms"], stored.tally.packed()) == (77, tally.packed())

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("customers", 0), ("customers", -1), ("converted", 9), ("converted", -1), ("shown", -1), ("shown2", 0),
            ("shown_clicked", 10**6), ("orders2", 1), ("cents2", -1), ("orders_cents", -(10**9)), ("cents", 2**62),
            ("customers", b"\x01" * 33), ("customers", 1.5), ("customers", True), ("customers", None),
        ],
    )  # fmt: skip
    def test_what_nobody_can_have_is_none(self, field: str, value: Any) -> None:
        """Negative variances, correlations beyond 1, more buyers than customers, numbers beyond all bounds."""
        tally = tally_of([Told(Arm("e", "a", 1, "1:1"), (), False, Outcome(5, 2, 1, 100))] * 3)
        value_of = body(tally)
        assert unpack_stored(pack_versioned(1, 1, value_of)) is not None
        cell = value_of["cells"][0]  # type: ignore[index]
        (sums,) = tally.cells.values()
        cell[4 + sums.__struct_fields__.index(field)] = value
        assert unpack_stored(pack_versioned(1, 1, value_of)) is None

    @pytest.mark.parametrize(("place", "shares"), [(3, "1:1"), (0, "1:1"), (1, "0:0"), (1, "1:x"), (1, ":"), (1, "-1")])
    def test_places_without_a_share(self, place: int, shares: str) -> None:
        """Of such customers nobody can say how many there should be."""
        tally = tally_of([Told(Arm("e", "a", place, shares), (), False, Outcome())])
        assert unpack_stored(pack_versioned(1, 1, body(tally))) is None

    def test_nothing(self) -> None:
        """No value, a tombstone, and something else."""
        for packed in (None, pack_versioned(1, 1, {}), b"", b"\xc1", pack_versioned(1, 1, {"cells": []})):
            assert unpack_stored(packed) is None
