"""Packed customers: only a known version is read, and what packs to bytes comes back whole."""

from random import Random

import msgspec
import pytest
from customer_runs import RULES, in_order, key_and_time, run_live
from nasty_streams import SPICES, nasty_stream

from schemas.settings import Settings
from state.chunks import DictChunkStore
from state.customer.calendar import Calendar
from state.customer.customer import Customer, StateVersionError

CALENDAR = Calendar.of(Settings(), RULES)


class TestVersions:
    @pytest.mark.parametrize("version", [0, 2, 99, "1", None])
    def test_an_unknown_one_is_refused_by_name(self, version: object) -> None:
        """The message says which version it is and which one this program reads."""
        parts = msgspec.msgpack.decode(Customer(CALENDAR).pack(DictChunkStore()))
        parts[0] = version
        with pytest.raises(StateVersionError, match=f"state of version {version};.* reads version 1"):
            Customer.unpack(CALENDAR, msgspec.msgpack.encode(parts), DictChunkStore())

    def test_a_new_customer_packs_to_next_to_nothing(self) -> None:
        store = DictChunkStore()
        packed = Customer(CALENDAR).pack(store)
        assert len(packed) < 200
        assert not store
        again = Customer.unpack(CALENDAR, packed, store)
        assert again.pack(store) == packed


class TestRoundTrip:
    @pytest.mark.parametrize("spice", SPICES)
    def test_packing_twice_gives_the_same_bytes(self, spice: str) -> None:
        """Whatever state it is in: what was unpacked packs to what it was unpacked from."""
        lines = in_order(nasty_stream(Random(6), 80, SPICES[spice]))
        finished = run_live(lines, key_and_time(lines[-1])[1])
        for key, store in finished.local.stores.items():
            if key:
                packed = store.load()
                assert packed is not None
                customer = Customer.unpack(finished.logic.calendar, packed, store)
                assert customer.pack(store) == packed
