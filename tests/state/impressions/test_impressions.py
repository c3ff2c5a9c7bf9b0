"""The ledger of impressions by itself, and what an item makes of it."""

from collections import defaultdict
from random import Random

import pytest

from schemas.settings import HOUR_MS
from state.channels import Channel
from state.impressions.changes import CLICKED, EXAMINED, FULL, HALF_LIFE_MS, SHOWN, click_messages
from state.impressions.ledger import LEDGER_MAX, Impressions, Shown, pack_shown, unpack_shown
from state.items.item import ItemLogic
from state.packing import pack, unpack
from state.similar.message import FLAGS, PROMPT, read_message
from state.similar.settings import SimilarSettings
from state.similar.weights import weight
from tests.state.items.item_stores import PendingStore

NOON_MS = 1_760_000_000_000


def walk(seed: int, length: int) -> Impressions:
    random, impressions = Random(seed), Impressions()
    for number in range(length):
        request = random.choice((None, "0123456789abcdef", "r"))
        product = f"p{random.randrange(6)}é"
        if random.random() < 0.3:
            impressions.click(product, request)
        else:
            impressions.show(NOON_MS + number * HOUR_MS, product, random.randint(1, 100), request)
    return impressions


def sums(messages: list[tuple[str, bytes]]) -> dict[str, tuple[int, int]]:
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for key, message in messages:
        _, _, base, value, support = read_message(message)
        found[key][0] += value << base
        found[key][1] += support
    return {key: (value, support) for key, (value, support) in found.items() if value or support}


class TestPacked:
    @pytest.mark.parametrize("seed", range(20))
    def test_it_comes_back(self, seed: int) -> None:
        impressions = walk(seed, 10 * seed)
        again = Impressions.unpacked(unpack(pack(impressions.packed())))
        assert len(impressions.shown()) <= LEDGER_MAX
        assert (again.shown(), again.requests()) == (impressions.shown(), impressions.requests())
        for one in (impressions, again):
            one.click("p1é", None)
            one.show(NOON_MS * 2, "p", 1, None)
        assert again.packed() == impressions.packed()
        assert unpack_shown(pack_shown(impressions.shown())) == impressions.shown()

    def test_bytes(self) -> None:
        """Stored since the first version: what was told."""
        ledger: list[Shown] = [(NOON_MS, "p", 1, 1), (NOON_MS + 5, "q", 100, 0)]
        assert pack_shown(ledger).hex() == "950192cf00000199c82cc00005" + "92a170a171" + "c4020164" + "c4020100"


class TestDifferences:
    @pytest.mark.parametrize("seed", range(20))
    def test_lead_from_any_ledger_to_any_other(self, seed: int) -> None:
        old, new = walk(seed, 70).shown(), walk(seed + 1, 60).shown()
        both = [*click_messages((), old), *click_messages(old, new)]
        assert sums(both) == sums(click_messages((), new))
        assert sums([*both, *click_messages(new, ())]) == {}
        assert click_messages(new, new) == []

    def test_say_no_more_than_what_is_new(self) -> None:
        impressions = Impressions()
        for product in "abc":
            impressions.show(NOON_MS, product, 2, None)
        old = impressions.shown()
        impressions.click("b", None)
        ((key, message),) = click_messages(old, impressions.shown())
        mantissa, exponent = weight(NOON_MS, HALF_LIFE_MS)
        assert (key, read_message(message)) == ("clicked|b", [1, 0, exponent, FULL * mantissa, 1])

    def test_may_be_prompt(self) -> None:
        assert all(read_message(m)[FLAGS] & PROMPT for _, m in click_messages(walk(3, 40).shown(), (), prompt=True))

    def test_one_product_in_one_place_and_moment_again_counts_again(self) -> None:
        once: list[Shown] = [(NOON_MS, "p", 4, 0)]
        one, two = sums(click_messages((), once)), sums(click_messages((), once * 2))
        assert two["shown|p"] == (2 * one["shown|p"][0], 2)
        assert sums([*click_messages((), once * 2), *click_messages(once * 2, once)]) == one


def test_places_are_weighed_as_in_dcg() -> None:
    assert EXAMINED[1] == FULL
    assert EXAMINED[3] == FULL // 2
    assert EXAMINED[7] == round(FULL / 3)
    assert list(EXAMINED[1:]) == sorted(EXAMINED[1:], reverse=True)
    assert len(EXAMINED) == 101


class TestItems:
    @pytest.mark.parametrize("live", [True, False])
    def test_nobody_makes_a_list_of_them(self, live: bool) -> None:
        """Neither rows nor totals for all: no more than their place in a set of Redis."""
        logic, stores = ItemLogic(SimilarSettings(), live=live, now_ms=lambda: 7), defaultdict(PendingStore)
        ledger, outputs = walk(5, 60).shown(), []
        for key, message in click_messages((), ledger):
            outputs += logic.on_message(key, message, stores[key])
        for key, store in stores.items():
            outputs += [*logic.on_publication(key, store), *logic.on_end(key, store)]
        assert {channel for channel, _, _ in outputs} == {Channel.REDIS}
        assert {key for _, key, _ in outputs} == set(stores)
        assert {key.partition("|")[0] for key in stores} == {SHOWN, CLICKED}
        for key, message in click_messages(ledger, (), prompt=True):
            taken_back = [*logic.on_message(key, message, stores[key]), *logic.on_end(key, stores[key])]
            assert [channel for channel, _, _ in taken_back] == [Channel.REDIS]
        assert all(store.value is None and not store.messages for store in stores.values())
