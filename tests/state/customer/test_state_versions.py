"""Packed customers: only a known version is read, and what packs to bytes comes back whole."""

import copy
import json
from random import Random

import msgspec
import pytest
from customer_runs import NOW_MS, PATIENT, RULES, SIMILAR, in_order, key_and_time, run_live, shuffled
from nasty_streams import SPICES, nasty_stream

from schemas.facts import Fact, Kind
from schemas.settings import DAY_MS, Settings
from state.channels import Channel
from state.customer.base import FACTS_MAX, split
from state.customer.calendar import Calendar
from state.customer.customer import Customer, StateVersionError
from state.customer.logic import CustomerLogic
from state.dict_chunks import DictChunkStore
from state.local import LocalRun
from state.rules.ruleset import parse_rules

CALENDAR = Calendar.of(Settings(), RULES)


class TestVersions:
    @pytest.mark.parametrize("version", [0, 4, 99, "1", None])
    def test_an_unknown_one_is_refused_by_name(self, version: object) -> None:
        """The message says which version it is and which one this program reads."""
        parts = msgspec.msgpack.decode(Customer(CALENDAR).pack(DictChunkStore()))
        parts[0] = version
        with pytest.raises(StateVersionError, match=f"state of version {version};.* reads versions 1 to 3"):
            Customer.unpack(CALENDAR, msgspec.msgpack.encode(parts), DictChunkStore())

    def test_a_new_customer_packs_to_next_to_nothing(self) -> None:
        store = DictChunkStore()
        packed = Customer(CALENDAR).pack(store)
        assert len(packed) < 200
        assert not store
        again = Customer.unpack(CALENDAR, packed, store)
        assert split(msgspec.msgpack.decode(again.pack(store)))[:2] == (packed, [])


class TestRoundTrip:
    @pytest.mark.parametrize("spice", SPICES)
    def test_what_was_unpacked_packs_to_the_same(self, spice: str) -> None:
        """Whatever state it is in, and whether it was packed whole or with facts behind an older pack."""
        lines = in_order(nasty_stream(Random(6), 80, SPICES[spice]))
        finished = run_live(lines, key_and_time(lines[-1])[1])
        for key, store in finished.local.stores.items():
            if key:
                packed = store.load()
                assert packed is not None
                whole = Customer.unpack(finished.logic.calendar, packed, store).pack(store)
                assert Customer.unpack(finished.logic.calendar, whole, store).pack(store) == whole


class TestFactsBehindABase:
    @pytest.mark.parametrize("spice", SPICES)
    def test_they_lead_to_what_was_not_packed(self, spice: str) -> None:
        """After every event the saved value means the customer who is in memory, to the last byte."""
        seen = set()
        for seed in range(4):
            lines = in_order(nasty_stream(Random(60 + seed), 120, SPICES[spice]))
            lines = lines if seed % 2 else shuffled(lines, DAY_MS, seed)
            logic = CustomerLogic(
                PATIENT, RULES, SIMILAR, as_of_ms=key_and_time(in_order(lines)[-1])[1], now_ms=lambda: NOW_MS
            )
            local = LocalRun(logic, 5_000)
            for line in lines:
                key, time_ms = key_and_time(line)
                local.feed(key, time_ms, b"file:1\x1f" + line)
                store = local.stores[key]
                packed = store.load() or b""
                seen.add(msgspec.msgpack.decode(packed)[0])
                again = Customer.unpack(logic.calendar, packed, store)
                assert again._pack_whole(store) == _kept(logic._customer(key, store))
        assert seen == {1, 3}

    @pytest.mark.parametrize("spice", SPICES)
    def test_so_does_time_that_passes(self, spice: str) -> None:
        """A live job's timers write profiles and tell the items: what is saved then means who is in memory as well."""
        seen = set()
        for seed in range(2):
            lines = in_order(nasty_stream(Random(80 + seed), 40, SPICES[spice]))
            logic = CustomerLogic(PATIENT, RULES, SIMILAR, now_ms=lambda: NOW_MS)
            local = LocalRun(logic, 5_000)
            known: dict[str, bytes] = {}
            for line in lines if seed else shuffled(lines, DAY_MS, seed):
                key, time_ms = key_and_time(line)
                local.feed(key, time_ms, b"file:1\x1f" + line)
                for one, store in local.stores.items():
                    packed = store.load() or b""
                    if packed != known.get(one):
                        known[one] = packed
                        parts = msgspec.msgpack.decode(packed)
                        seen.add((parts[0], parts[0] == 3 and parts[3][0] > logic._customer(one, store).newest[0]))
                        again = Customer.unpack(logic.calendar, packed, store)
                        assert again._pack_whole(store) == _kept(logic._customer(one, store))
        hardly_moves = spice in ("one-millisecond", "two-milliseconds", "orders-in-a-millisecond", "busy")
        assert (3, True) in seen or hardly_moves

    @pytest.mark.parametrize("first", ["the same again", "too late", "new", "a timer"])
    def test_what_turns_as_they_are_applied_again_is_said(self, first: str) -> None:
        """With another gap between sessions, what was one session is four; whatever comes first, it is said once."""
        rules = parse_rules('[segments.often]\ndescription = "For tests."\nwhen = "sessions_1d >= 3"\n')
        gap_ms, start_ms = 600_000, 1_740_787_200_000
        views = [_view("c", start_ms + number * gap_ms, f"e{number}") for number in range(4)]
        settings = Settings(profile_interval_ms=1 << 50)
        local = LocalRun(CustomerLogic(settings, rules, SIMILAR, now_ms=lambda: NOW_MS), 5_000)
        local.start()
        for number, view in enumerate(views):
            local.feed("c", start_ms + number * gap_ms, view)
        assert msgspec.msgpack.decode(local.stores["c"].packed or b"")[0] == 3
        settings = msgspec.structs.replace(settings, session_gap_ms=gap_ms // 2)
        local.logic = CustomerLogic(settings, rules, SIMILAR, cached_customers=2, now_ms=lambda: NOW_MS)
        local.start(local.view)
        newest_ms = start_ms + 3 * gap_ms
        said = {
            "the same again": lambda: local.feed("c", newest_ms, views[-1]),
            "too late": lambda: local.feed("c", start_ms - 30 * DAY_MS, _view("c", start_ms - 30 * DAY_MS, "old")),
            "new": lambda: local.feed("c", newest_ms + 1, _view("c", newest_ms + 1, "new")),
            "a timer": lambda: local.feed("d", newest_ms + DAY_MS // 2, _view("d", newest_ms + DAY_MS // 2, "d")),
        }[first]()
        for number in range(6):  # so that the customer leaves the cache
            said += local.feed(f"d{number}", newest_ms + 2, _view(f"d{number}", newest_ms + 2, "other"))
        said += local.feed("c", newest_ms + 3, _view("c", newest_ms + 3, "last"))
        changes = [json.loads(payload) for channel, _, payload in said if channel == Channel.SEGMENT_CHANGE]
        assert [(one["segment"], one["change"]) for one in changes if one["customer_id"] == "c"] == [
            ("often", "entered")
        ]

    def test_why_tells_of_the_moment_before(self) -> None:
        """Not of the older pack: the customer who was read says what one packed whole would have said."""
        rules = parse_rules('[segments.keen]\ndescription = "For tests."\nwhen = "views_30d >= 12"\n')
        start_ms = 1_740_787_200_000
        newest_ms = start_ms + 10_000
        logic = CustomerLogic(PATIENT, rules, SIMILAR, as_of_ms=newest_ms, cached_customers=2, now_ms=lambda: NOW_MS)
        local = LocalRun(logic, 5_000)
        for number in range(11):
            local.feed("c", start_ms + number * 1_000, _view("c", start_ms + number * 1_000, f"e{number:02}"))
        for number in range(6):
            local.feed(f"d{number}", newest_ms, _view(f"d{number}", newest_ms, "other"))
        assert msgspec.msgpack.decode(local.stores["c"].packed or b"")[0] == 3
        ((_, _, change),) = local.feed("c", newest_ms, _view("c", newest_ms, "e11"))
        assert json.loads(change)["why"] == {"views_30d": [11, 12]}

    def test_many_of_them_are_packed_anew(self) -> None:
        """Reading never has to apply more than a few facts."""
        customer, store = Customer(CALENDAR), DictChunkStore()
        most = 0
        for number in range(100):
            customer.accept(Fact(1_700_000_000_000 + number, f"e{number}", Kind.PRODUCTS_SEARCHED), 0, store)
            parts = msgspec.msgpack.decode(customer.pack(store))
            most = max(most, len(parts[2]) if parts[0] == 3 else 0)
        assert most == FACTS_MAX


def _view(key: str, time_ms: int, event_id: str) -> bytes:
    event = {"event_id": event_id, "type": "product_viewed", "product_id": "p", "customer_id": key}
    return b"file:1\x1f" + json.dumps(event | {"timestamp": time_ms}).encode()


def _kept(customer: Customer) -> bytes:
    """What a customer in memory would pack to, without becoming another one."""
    store, calendar = DictChunkStore(), customer.calendar
    programs = [one.program for one in (*calendar.reigns, *calendar.past)]
    shared = calendar, *programs, *(one.rules for one in programs)  # a copy of rules would be compiled anew
    twin = copy.deepcopy(customer, {id(one): one for one in shared})
    return twin._pack_whole(store)
