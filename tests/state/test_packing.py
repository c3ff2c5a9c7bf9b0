"""Packed state: what goes in comes out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.packing import pack, part, unpack

PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(allow_nan=False), st.text()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


class TestRoundTrip:
    @settings(max_examples=80, deadline=None, derandomize=True)
    @given(PLAIN)
    def test_plain_values(self, value: object) -> None:
        assert unpack(pack(value)) == value

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(PLAIN, PLAIN)
    def test_a_part_packed_beforehand_is_the_same_bytes(self, one: object, other: object) -> None:
        assert pack([part(one), other, part(one)]) == pack([one, other, one])

    def test_bytes_stay_bytes(self) -> None:
        assert unpack(pack([b"\x00\xff", "text"])) == [b"\x00\xff", "text"]

    def test_no_python_object_can_hide_in_it(self) -> None:
        with pytest.raises(TypeError):
            pack(object())
