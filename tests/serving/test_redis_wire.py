"""The connection and what is kept of it, over a real Valkey."""

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import hiredis
import pytest

from jobs.runtime.valkey import EmbeddedValkey
from schemas.keys import POPULAR_BOUGHT, POPULAR_VIEWED, Keys
from schemas.profiles import pack_versioned
from serving import popularity
from serving.attention import begin
from serving.breaker import BreakerState
from serving.catalog.item import Item
from serving.catalog.store import CatalogStore
from serving.derived import Derived
from serving.local_cache import LocalCache
from serving.ranking.source import Ready
from serving.redis_address import RedisAddress
from serving.redis_link import Unavailable
from serving.redis_source import RedisSource
from serving.redis_wire import Wire, WireError
from tests.serving.slow_door import slow_door
from tests.serving.small_shop import profile, send


async def opened(url: str, pushed: list[Any]) -> Wire:
    """A greeted connection."""

    def keep(message: Sequence[Any]) -> None:
        pushed.append(list(message))

    address = RedisAddress(url)
    wire = await address.open(lambda: Wire(keep, lambda: pushed.append("lost")))
    for command in address.greeting():
        await wire.call(*command)
    return wire


class TestWire:
    def test_replies_come_in_order(self, valkey: EmbeddedValkey) -> None:
        """However many commands are under way; a refusal is raised where it belongs."""

        async def ask() -> None:
            wire = await opened(valkey.url, [])
            calls = [wire.call("ECHO", str(number)) for number in range(500)]
            calls.insert(250, wire.call("NONSENSE"))
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(found.pop(250), hiredis.ReplyError)
            assert found == [str(number).encode() for number in range(500)]
            wire.close()

        asyncio.run(ask())

    def test_what_cannot_be_sent_does_not_put_others_out_of_step(self, valkey: EmbeddedValkey) -> None:
        """Nobody gets the reply of somebody else."""

        async def ask() -> None:
            wire = await opened(valkey.url, [])
            with pytest.raises(UnicodeEncodeError):
                await wire.call("ECHO", "\ud800")
            found = await asyncio.gather(*(wire.call("ECHO", str(number)) for number in range(3)))
            assert found == [b"0", b"1", b"2"]
            wire.close()

        asyncio.run(asyncio.wait_for(ask(), 5))

    def test_a_change_is_told_after_the_reply_that_it_makes_old(self, valkey: EmbeddedValkey) -> None:
        """In one stream, also when another connection writes all the time."""

        async def ask() -> None:
            told: list[Any] = []
            wire, writer = await opened(valkey.url, told), await opened(valkey.url, [])
            for number in range(200):
                wire.send(told.append, "GET", "counted")
                await asyncio.gather(writer.call("SET", "counted", str(number)), wire.call("PING"))
                await wire.call("PING")
            replies = [index for index, one in enumerate(told) if not isinstance(one, list)]
            for index, following in pairwise(replies):
                if told[index] != told[following]:  # it changed in between, and that was said in between
                    assert [b"invalidate", [b"counted"]] in told[index:following]
            wire.close()
            writer.close()

        asyncio.run(ask())

    def test_whoever_waits_is_told_when_it_breaks(self, valkey: EmbeddedValkey) -> None:
        """And nobody can ask any more."""

        async def ask() -> None:
            told: list[Any] = []
            wire = await opened(valkey.url, told)
            waiting = asyncio.ensure_future(wire.call("BLPOP", "nothing", "0"))
            await asyncio.sleep(0)
            wire.close()
            with pytest.raises(WireError):
                await waiting
            with pytest.raises(WireError):
                await wire.call("PING")
            assert told == ["lost"]

        asyncio.run(ask())


class TestSource:
    def test_one_read_for_each_key_until_it_changes(self, valkey: EmbeddedValkey) -> None:
        """Several at once in one command."""

        async def ask() -> None:
            source = RedisSource(valkey.url, Keys(), LocalCache(1 << 20, 60.0), 5.0, 5.0)
            running = asyncio.ensure_future(source.link.run())
            await source.link.first(5.0)
            for _ in range(2):
                reading = source.similar("viewed-with", ["p-1", "none", "p-1"])
                assert [len(one) for one in await reading] == [2, 0, 2]
            assert isinstance(reading, Ready)  # the second time nobody has to wait
            assert (source.misses, source.hits) == (2, 3)
            await source.profile("c-5")
            await asyncio.to_thread(send, valkey.url, profile("c-5", 7, orders_30d=99))
            async with asyncio.timeout(5):
                while (await source.profile("c-5") or {})["features"]["orders_30d"] != 99:
                    await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert (await source.profile("c-5") or {})["features"]["orders_30d"] == 99  # stale, and so it says
            assert begin(1.0).degraded is False
            with pytest.raises(Unavailable):
                await source.profile("c-6")

        asyncio.run(ask())


class TestMade:
    def test_many_who_ask_at_once_have_it_made_once(
        self, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each with an attention of its own; one that gives up takes nothing from the others."""
        keys = Keys("made-once:")
        for number in range(50):
            valkey.client().zadd(keys.segment("vip"), {f"c{number}": number})
        made: list[int] = []

        class Counted(popularity.OfMembers):
            def add(self, profiles: Iterable[Any]) -> None:
                made.append(len(list(profiles)))

            def ranked(self) -> popularity.Ranked:
                return (("a", 1.0),)

        monkeypatch.setattr(popularity, "OfMembers", Counted)

        async def ask() -> None:
            async with slow_door(valkey.socket) as door:
                source = RedisSource(door.url, keys, LocalCache(1 << 20, 60.0), 5.0, 5.0)
                running = asyncio.ensure_future(source.link.run())
                await source.link.first(5.0)
                door.delay_s = 0.2

                async def once() -> tuple[Any, bool]:
                    attention = begin(5.0)
                    return await source.popular("segment:vip", 9), attention.degraded

                asked = [asyncio.create_task(once()) for _ in range(16)]
                await asyncio.sleep(0.3)
                asked[0].cancel()
                found = await asyncio.gather(*asked[1:])
                assert found == [((("a", 1.0),), False)] * 15
                assert sum(made) == 50
                assert isinstance(source.popular("segment:vip", 9), Ready)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

        asyncio.run(ask())

    def test_what_was_made_of_half_is_not_kept(self, valkey: EmbeddedValkey) -> None:
        """A category's list, while most of the catalog cannot be read: the next one is whole, and then serves."""
        keys = Keys("made:")
        valkey.client().zadd(keys.popular("all"), {"a": 3.0, "b": 2.0, "c": 1.0})
        catalog = CatalogStore(valkey.client(), keys)
        catalog.write([Item(item_id=one, category="tea") for one in "abc"], 1)

        async def ask() -> None:
            async with slow_door(valkey.socket) as door:
                source = RedisSource(door.url, keys, LocalCache(1 << 20, 60.0), 0.3, 5.0)
                running = asyncio.ensure_future(source.link.run())
                await source.link.first(5.0)

                async def tea() -> tuple[list[str], bool]:
                    attention = begin(5.0)
                    try:
                        found = await source.popular("category:tea", 9)
                    except Unavailable:  # not in time
                        found = ()
                    assert attention.left_s() > 1  # for what else there is to read
                    return [one for one, _ in found], attention.degraded

                async def until(*wanted: object) -> None:
                    async with asyncio.timeout(10):
                        while await tea() != wanted:
                            await asyncio.sleep(0.02)

                for known in (source.items(["a"]), source.popular("all", 9), source.popular("category:tea", 0)):
                    await known
                source.cache.changed([keys.item("b"), keys.item("c")])
                source._made = Derived(source._make, 9)  # nothing is made yet, but half of what it is made of is read
                door.delay_s = 0.7
                await until(["a"], True)
                door.delay_s = 0.0
                await until(["a", "b", "c"], False)
                assert isinstance(source.popular("category:tea", 2), Ready)
                door.delay_s = 0.7  # from now on what was made serves, until it is found that it cannot be made anew
                catalog.write([Item(item_id="b", category="cups")], 1)
                assert await tea() == (["a", "b", "c"], False)
                await until(["a", "c"], True)  # what has changed is not known any more
                door.delay_s = 0.0
                await until(["a", "c"], False)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

        asyncio.run(ask())

    def test_each_change_shows(self, valkey: EmbeddedValkey) -> None:
        """In what is made of it, though others ask all the time; and nothing is read while nothing changes."""
        keys, client = Keys("shows:"), valkey.client()
        client.zadd(keys.popular(POPULAR_VIEWED), {"a": 3.0, "b": 1.0})
        catalog = CatalogStore(client, keys)
        catalog.write([Item(item_id=one, category="tea") for one in "abc"], 1)

        def member(customer_id: str, item_id: str) -> None:
            body = {"customer_id": customer_id, "recent": {"viewed": [[item_id, 1_000]]}}
            client.set(keys.profile(customer_id), pack_versioned(1, 1, body))

        member("c-1", "a")
        client.zadd(keys.segment("vip"), {"c-1": 1})

        async def ask() -> None:
            source = RedisSource(valkey.url, keys, LocalCache(1 << 20, 60.0), 5.0, 5.0)
            running = asyncio.ensure_future(source.link.run())
            await source.link.first(5.0)

            async def until(scope: str, *wanted: str) -> None:
                async with asyncio.timeout(10):
                    while [one for one, _ in await source.popular(scope, 9)] != [*wanted]:
                        await asyncio.sleep(0.01)

            await until("all", "a", "b")
            await until("category:tea", "a", "b")
            await until("segment:vip", "a")
            client.zadd(keys.popular(POPULAR_BOUGHT), {"b": 9.0})
            await until("all", "b", "a")
            await until("category:tea", "b", "a")
            catalog.write([Item(item_id="a", category="cups")], 1)
            await until("category:tea", "b")
            member("c-1", "b")
            await until("segment:vip", "b")
            client.zadd(keys.segment("vip"), {"c-2": 2})
            member("c-2", "c")
            await until("segment:vip", "b", "c")
            client.zadd(keys.popular("segment:vip"), {"z": 1.0})  # another system has its own
            await until("segment:vip", "z")
            client.delete(keys.popular("segment:vip"))
            await until("segment:vip", "b", "c")
            await asyncio.sleep(1.2)
            misses = source.misses
            for scope in ("all", "category:tea", "segment:vip"):
                assert isinstance(source.popular(scope, 9), Ready)
            await asyncio.sleep(0.2)
            assert source.misses == misses
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        asyncio.run(ask())

    def test_what_was_withdrawn_is_gone_with_redis(self, valkey: EmbeddedValkey) -> None:
        """From what is made of it, too, though nothing can be made any more; what nobody has touched serves on."""
        keys, client = Keys("withdrawn:"), valkey.client()
        for customer_id in ("one", "other"):
            body = {"customer_id": customer_id, "recent": {"viewed": [[f"of-{customer_id}", 1_000]]}}
            client.set(keys.profile(customer_id), pack_versioned(1, 1, body))
            client.zadd(keys.segment(customer_id), {customer_id: 1})

        async def ask() -> None:
            source = RedisSource(valkey.url, keys, LocalCache(1 << 20, 60.0), 5.0, 5.0)
            running = asyncio.ensure_future(source.link.run())
            await source.link.first(5.0)
            begin(5.0)
            for customer_id in ("one", "other"):
                assert [one for one, _ in await source.popular(f"segment:{customer_id}", 9)] == [f"of-{customer_id}"]
            client.delete(keys.profile("one"), keys.segment("one"))
            async with asyncio.timeout(5):
                while source.cache.fresh(keys.segment("one")) is not None:
                    await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            for _ in range(50):
                begin(5.0)
                with suppress(Unavailable):
                    assert await source.popular("segment:one", 9) == ()
                assert [one for one, _ in await source.popular("segment:other", 9)] == ["of-other"]
                await asyncio.sleep(0.01)

        asyncio.run(ask())


class TestLateAnswers:
    def test_a_redis_that_answers_everything_too_late_is_left_alone(self, valkey: EmbeddedValkey) -> None:
        """Though each reply does come, and work in the background can wait for it; until it is quick again."""

        async def ask() -> None:
            async with slow_door(valkey.socket) as door:
                source = RedisSource(door.url, Keys(), LocalCache(1 << 20, 60.0), 0.1, 5.0)
                running = asyncio.ensure_future(source.link.run())
                await source.link.first(5.0)
                async with asyncio.timeout(5):
                    while not await read(source, "c-1"):
                        await asyncio.sleep(0.02)
                door.delay_s = 0.3
                async with asyncio.timeout(10):
                    while source.link.breaker != BreakerState.OPEN:
                        assert not await read(source, secrets.token_hex(4))
                        with suppress(Unavailable):  # as when segments are looked for
                            await source.link.call(1.0, "PING")
                assert source.link.connected
                door.delay_s = 0.0
                async with asyncio.timeout(5):
                    while not await read(source, secrets.token_hex(4)):
                        await asyncio.sleep(0.02)
                assert source.link.breaker == BreakerState.CLOSED
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

        asyncio.run(ask())


async def read(source: RedisSource, customer_id: str) -> bool:
    """Whether there was an answer in time, to a request of its own."""
    begin(5.0)
    try:
        await source.profile(customer_id)
    except Unavailable:
        return False
    return True
