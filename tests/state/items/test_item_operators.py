"""From messages to lists in Redis, through both operators."""

from collections.abc import Iterable
from random import Random
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from item_stores import SETTINGS, PendingStore, Shop, read_write

from schemas.writes import WriteKind
from state.channels import Channel, Output
from state.items.item import ItemLogic, split_key
from state.items.publish import PublishLogic
from state.similar.changes import messages
from state.similar.errors import SimilarStateError
from state.similar.settings import BOUGHT_WITH, DAY_MS, VIEWED_WITH

START_MS = 1_740_787_200_000
Told = list[tuple[str, bytes]]


def viewed(random: Random, start_ms: int = START_MS) -> list[Any]:
    """A customer's views: some sessions of some products."""
    ledger, at_ms = [], start_ms
    for session in range(random.randint(1, 3)):
        for _ in range(random.randint(1, 6)):
            at_ms += random.randrange(DAY_MS)
            ledger.append((at_ms, session, random.choice("abcdef")))
    return ledger


def told(relation: Any, old: list[Any], new: list[Any], *, prompt: bool = False) -> Told:
    pairs = messages(relation, tuple(old), tuple(new), SETTINGS, prompt=prompt)
    return [(f"{relation}|{item}", message) for item, message in pairs]


def feed(shop: Shop, sent: Told) -> None:
    for key, message in sent:
        shop.tell(key, message)


class TestBoundedRun:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.integers(0, 1 << 32), st.integers(1, 8))
    def test_lists_depend_on_what_was_told_only(self, seed: int, customers: int) -> None:
        """Told in another order, with others in between who were taken out again, or live: the same lists."""
        random = Random(seed)
        ledgers = [viewed(random) for _ in range(customers)]
        gone = viewed(random)
        one = Shop(live=False, as_of_ms=START_MS)
        for ledger in ledgers:
            feed(one, told(VIEWED_WITH, [], ledger))
        one.end()
        other = Shop(live=True)
        sent = [told(VIEWED_WITH, [], ledger) for ledger in ledgers]
        sent += [told(VIEWED_WITH, [], gone)]
        mixed = [pair for ledger in sent for pair in ledger]
        random.shuffle(mixed)
        feed(other, mixed)
        other.restart(live=True)
        feed(other, told(VIEWED_WITH, gone, [], prompt=True))
        other.end()
        assert other.lists() == one.lists()
        held = {key for key, store in one.item_stores.items() if not store.is_empty}
        assert {key for key, store in other.item_stores.items() if not store.is_empty} == held

    def test_only_the_end_says_anything(self) -> None:
        shop = Shop(live=False, as_of_ms=START_MS)
        feed(shop, told(VIEWED_WITH, [], viewed(Random(1))))
        assert shop.writes == []
        shop.end()
        assert shop.lists()

    def test_an_end_told_twice_writes_nothing_new(self) -> None:
        shop = Shop(live=False, as_of_ms=START_MS)
        feed(shop, told(VIEWED_WITH, [], viewed(Random(1))))
        shop.end()
        written, lists = len(shop.writes), shop.lists()
        shop.end()
        assert len(shop.writes) == written
        assert shop.lists() == lists


class TestLive:
    def test_an_erasure_withdraws_the_lists_at_once(self) -> None:
        """One customer alone made all of them: their stores are empty, and Redis holds no list."""
        ledger = viewed(Random(1))
        shop = Shop(live=True)
        feed(shop, told(VIEWED_WITH, [], ledger))
        shop.end()
        assert shop.lists()
        feed(shop, told(VIEWED_WITH, ledger, [], prompt=True))
        assert shop.lists() == {}
        assert all(store.is_empty for store in shop.item_stores.values())

    def test_a_restart_between_any_two_messages_changes_nothing(self) -> None:
        ledgers = [viewed(Random(seed)) for seed in range(6)]
        sent = [pair for ledger in ledgers for pair in told(VIEWED_WITH, [], ledger)]
        steady, restarted = Shop(live=True), Shop(live=True)
        feed(steady, sent)
        for pair in sent:
            feed(restarted, [pair])
            restarted.restart(live=True)
        steady.end()
        restarted.end()
        assert restarted.writes == steady.writes

    def test_the_relations_do_not_mix(self) -> None:
        bought = [(START_MS, 1, "a", True), (START_MS, 1, "b", True)]
        shop = Shop(live=True)
        feed(shop, told(BOUGHT_WITH, [], bought))
        shop.end()
        assert set(shop.lists()) == {"bought-with:a", "bought-with:b"}


class TestRecords:
    def test_a_record_is_this_json(self) -> None:
        """Byte for byte, with ids that JSON has to escape."""
        ledger = [(START_MS, 0, "a"), (START_MS, 0, '"é\\\n'), (START_MS, 0, "")]
        shop = Shop(live=True)
        shop.watermark_ms = START_MS
        feed(shop, told(VIEWED_WITH, [], ledger))
        shop.end()
        assert len(shop.records) == len(shop.writes) >= 3
        for (_, key, record), write in zip(shop.records, shop.writes, strict=True):
            _, version, neighbours = read_write(write)
            assert record == msgspec.json.encode(
                {
                    "relation": VIEWED_WITH,
                    "item_id": split_key(key)[1],
                    "as_of_ms": START_MS,
                    "version": version,
                    "neighbours": [dict(zip(("item_id", "score", "support"), one, strict=True)) for one in neighbours],
                }
            )

    def test_a_withdrawn_list_is_an_empty_one(self) -> None:
        ledger = viewed(Random(1))
        shop = Shop(live=True)
        feed(shop, told(VIEWED_WITH, [], ledger))
        feed(shop, told(VIEWED_WITH, ledger, [], prompt=True))
        assert [record for _, _, record in shop.records[-2:]] == [b"", b""]


class TestVersions:
    def test_as_of_never_exceeds_the_end_of_a_bounded_run(self) -> None:
        """Even if the watermark stands at the end of time."""
        shop = Shop(live=True, as_of_ms=START_MS)
        shop.watermark_ms = 1 << 62
        feed(shop, told(VIEWED_WITH, [], viewed(Random(3))))
        shop.end()
        for write in shop.writes:
            assert read_write(write)[1] >> 21 == START_MS

    def test_before_any_watermark_it_is_zero(self) -> None:
        shop = Shop(live=True)
        shop.watermark_ms = -(1 << 63)
        feed(shop, told(VIEWED_WITH, [], viewed(Random(3))))
        assert all(read_write(write)[1] >> 21 == 0 for write in shop.writes)


class TestStates:
    def test_an_unknown_version_is_refused_by_name(self) -> None:
        """What a newer program wrote: each operator says whose state it is and what to do."""
        store = PendingStore()
        store.value = msgspec.msgpack.encode([99, b"", b""])
        _, message = told(VIEWED_WITH, [], [(START_MS, 0, "a")])[0]
        with pytest.raises(SimilarStateError, match="of version 99 found"):
            list(ItemLogic(SETTINGS, live=True).on_message("viewed-with|a", message, store))
        kept = PendingStore()
        for value in ((99, 1, None), (1, 1, msgspec.msgpack.encode([99, b"", b""]), 0)):
            kept.value = msgspec.msgpack.encode(value)
            with pytest.raises(SimilarStateError, match="of version 99 found"):
                list(PublishLogic(SETTINGS).on_end("viewed-with|a", {}, kept))  # type: ignore[arg-type]

    def test_an_item_nobody_is_seen_with_keeps_no_row(self) -> None:
        shop = Shop(live=True)
        feed(shop, told(VIEWED_WITH, [], [(START_MS, 0, "a")]))
        shop.end()
        assert shop.lists() == {}
        assert [output for output in shop.writes if read_write(output)[2]] == []

    def test_no_message_no_output(self) -> None:
        assert list(ItemLogic(SETTINGS, live=True).on_end("viewed-with|a", PendingStore())) == []
        assert list(PublishLogic(SETTINGS).on_end("viewed-with|a", {}, PendingStore())) == []  # type: ignore[arg-type]


class TestKeys:
    @pytest.mark.parametrize(("key", "parts"), [("viewed-with|a", ("viewed-with", "a")), ("r|a|b", ("r", "a|b"))])
    def test_an_item_may_have_the_separator_in_it(self, key: str, parts: tuple[str, str]) -> None:
        assert split_key(key) == parts

    def test_outputs_carry_the_key(self) -> None:
        logic, store = ItemLogic(SETTINGS, live=True), PendingStore()
        key, message = told(VIEWED_WITH, [], [(START_MS, 0, "a|b")])[0]
        outputs = [*logic.on_message(key, message, store), *logic.on_end(key, store)]
        assert {one for _, one, _ in outputs} <= {"viewed-with|a|b"}
        assert {channel for channel, _, _ in outputs} <= {Channel.ROW, Channel.TOTAL}


class TestPopularity:
    """With each total that is told it is written how popular the item is."""

    def test_the_logarithm_of_the_decayed_count(self) -> None:
        """Twice as many views: one more. Later views count more, by the half-life. Nothing left: taken out."""
        scores = {}
        clock = iter(range(1_000, 2_000))
        for name, views in (("once", 1), ("twice", 2)):
            for late in (0, SETTINGS.viewed_half_life_ms):
                logic, store = ItemLogic(SETTINGS, live=True, now_ms=lambda: next(clock)), PendingStore()
                entries = [(START_MS + late + number, number, "a") for number in range(views)]
                (key, message), *_ = told(VIEWED_WITH, [], entries)
                outputs = [*logic.on_message(key, message, store), *logic.on_end(key, store)]
                kind, scope, item, _, scores[name, late > 0] = written(outputs)[-1]
                assert (kind, scope, item) == (WriteKind.POPULAR, b"viewed", b"a")
        late_ms = SETTINGS.viewed_half_life_ms
        assert scores["twice", False] - scores["once", False] == pytest.approx(1, abs=0.01)
        assert scores["once", True] - scores["once", False] == pytest.approx(1, abs=0.01)
        (key, gone), *_ = told(VIEWED_WITH, [(START_MS + late_ms + number, number, "a") for number in range(2)], [])
        outputs = [*logic.on_message(key, gone, store), *logic.on_end(key, store)]
        assert written(outputs)[-1][4] == 0

    def test_the_later_write_wins(self) -> None:
        """By the wall clock: versions move forward whatever was lost."""
        clock = iter(range(1_000, 2_000))
        logic, store = ItemLogic(SETTINGS, live=True, now_ms=lambda: next(clock)), PendingStore()
        versions = []
        for number in range(40):
            (key, message), *_ = told(VIEWED_WITH, [], [(START_MS + number, number, "a")])
            versions += [version for *_, version, _ in written(logic.on_message(key, message, store))]
        assert versions == sorted(set(versions))
        assert 1 < len(versions) < 40


def written(outputs: Iterable[Output]) -> list[tuple[Any, ...]]:
    return [tuple(msgpack.unpackb(payload, raw=True)) for channel, _, payload in outputs if channel == Channel.REDIS]
