"""What the ranking and the endpoints read, from Redis through the local cache: `serving.ranking.source.Source`.

Every read waits at most `redis_timeout_ms`, and no longer than its request may. Then, or while Redis is gone, what was
read before serves, however old, and the request's `Attention` says so; where nothing was, `Unavailable` is raised.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import isfinite
from typing import Any, cast

from schemas.keys import POPULAR_BOUGHT, POPULAR_CLICKED, POPULAR_SHOWN, POPULAR_VIEWED, Keys
from serving import popularity
from serving.attention import Attention, begin, current
from serving.catalog.item import Item
from serving.catalog.store import unpack_item
from serving.derived import Depends, Derived, NotMadeError
from serving.experiments.stored import Stored, unpack_stored
from serving.local_cache import UNPACKED_FACTOR, Entry, LocalCache
from serving.packed_neighbours import PackedNeighbours
from serving.popularity import MOST_POPULAR, Ranked
from serving.profiles import Profile, unpack_profile, whole_profile
from serving.ranking.clicks import Clicks
from serving.ranking.source import ALL, UNREAD, Incomplete, Neighbour, Ready, Unread
from serving.redis_address import RedisAddress
from serving.redis_link import WRONG_TYPE, RedisLink, Unavailable
from serving.redis_wire import Argument, Reply, settle

MOST_MADE = 300
"""So many scopes of which lists are made are kept."""
MAKE_WITHIN_S = 1.0
"""So long it may take: those who ask wait for a small part of it only."""
POPULAR_BYTES_EACH = 30
"""Estimated packed size of one of them."""

LIST_FACTOR = 5
"""As UNPACKED_FACTOR, of a list of similar items with its shares; measured: 4.5."""

Unpack = Callable[[bytes | None], Any]


class RedisSource:
    """Reads of one process. `link.run()` must be running."""

    def __init__(self, url: str, keys: Keys, cache: LocalCache, timeout_s: float, deadline_s: float) -> None:
        """Nothing is connected yet.

        Raises:
            ValueError: no Redis address.
        """
        self.keys, self.cache = keys, cache
        self.link = RedisLink(RedisAddress(url), self._changed, self._lost_track, timeout_s)
        self._timeout_s, self._deadline_s = timeout_s, deadline_s
        self._made = Derived(self._make, MOST_MADE)
        self._clicks = Derived(self._read_clicks, 1)
        self._no_clicks = Clicks()
        self.hits = self.misses = self.stale = self.failures = 0
        """Reads of single keys: from the fresh cache, from Redis, from the stale cache, and in vain."""

    async def profile(self, customer_id: str) -> Profile | None:
        """A customer's profile of both parts; None: unknown or withdrawn."""
        keys = [self.keys.profile(customer_id), self.keys.population(customer_id)]
        own, beside = await self._read(keys, unpack_profile, needs_first=True, unread=UNREAD)
        if beside is UNREAD:
            return None if own is None else Incomplete(own)
        return whole_profile(own, beside)

    def similar(self, relation: str, item_ids: Sequence[str]) -> Awaitable[Sequence[Sequence[Neighbour]]]:
        """The neighbours of each item, best first."""
        return self._read([self.keys.similar(relation, item_id) for item_id in item_ids], PackedNeighbours)

    def items(self, item_ids: Sequence[str]) -> Awaitable[Sequence[Item | Unread | None]]:
        """What the catalog says of each item."""
        return self._read([self.keys.item(item_id) for item_id in item_ids], unpack_item, unread=UNREAD)

    def popular(self, scope: str, count: int) -> Awaitable[Sequence[tuple[str, float]]]:
        """The first `count` (item, score) of a scope, at most `MOST_POPULAR`: as it stands, or as it can be made."""
        at_hand = self._at_hand(scope)
        return self._popular(scope, count) if at_hand is None else Ready(at_hand[:count])

    def _at_hand(self, scope: str) -> Ranked | None:
        """A scope of which nothing has to be read or made; None: something has to be."""
        entry = self.cache.fresh(self.keys.popular(scope))
        if entry is None:
            return None
        found: Ranked | None = entry.value
        if not found and _can_be_made(scope):
            found = self._made.at_hand(scope)
        self.hits += found is not None
        return found

    async def _popular(self, scope: str, count: int) -> Ranked:
        found = await self._ranked(scope)
        if not found and _can_be_made(scope):
            found = await self._made_in_time(scope)
        return found[:count]

    async def _made_in_time(self, scope: str) -> Ranked:
        """As it can be made; leaves the request half of its time for what else it reads."""
        attention = current(self._deadline_s)
        try:
            found, is_right = await self._made.value(scope, min(self._timeout_s, attention.left_s() / 2))
        except (NotMadeError, Unavailable):
            attention.degraded = True
            raise Unavailable("this could not be made in time") from None
        attention.degraded |= not is_right
        return found

    async def _ranked(self, scope: str) -> Ranked:
        key = self.keys.popular(scope)
        found: Ranked = await self._ask(key, _unpack_ranked, "ZRANGE", 0, MOST_POPULAR - 1, "REV", "WITHSCORES")
        return found

    async def _make(self, scope: str, depends: Depends) -> tuple[Ranked, bool]:
        """What is popular with everybody, in a category or a segment, and whether all could be read.

        For all requests that ask for it meanwhile, in a time of its own.
        """
        attention = begin(MAKE_WITHIN_S)
        name = scope.partition(":")[2]
        if scope.startswith(popularity.OF_SEGMENT):
            found = await self._of_members(name, depends)
        elif scope.startswith(popularity.OF_CATEGORY):
            everything = (await self._ranked_by_all(depends))[:MOST_POPULAR]
            item_ids = [item_id for item_id, _ in everything]
            depends(self.keys.item(item_id) for item_id in item_ids)
            found = popularity.of_category(everything, await self.items(item_ids), name)
        else:
            found = await self._ranked_by_all(depends)
        return found, not attention.degraded

    async def _ranked_by_all(self, depends: Depends) -> Ranked:
        """As it stands, or as it can be made."""
        depends(map(self.keys.popular, (ALL, POPULAR_VIEWED, POPULAR_BOUGHT)))
        found = await self._ranked(ALL)
        if not found:
            found = popularity.together(await self._ranked(POPULAR_VIEWED), await self._ranked(POPULAR_BOUGHT))
        return found

    async def _of_members(self, segment: str, depends: Depends) -> Ranked:
        key = self.keys.segment(segment)
        depends([key])
        members = await self._ask(key, _unpack_ranked, "ZRANGE", 0, popularity.MEMBERS - 1, "REV", "WITHSCORES")
        keys = [self.keys.profile(customer_id) for customer_id, _ in members]
        depends(keys)
        counted = popularity.OfMembers()
        for some in popularity.parts(keys):
            counted.add(await self._read(some, unpack_profile))
            await asyncio.sleep(0)
        return counted.ranked()[:MOST_POPULAR]

    def clicks(self) -> Clicks:
        """As they were read last: nobody has to wait for them."""
        return self._clicks.soon("") or self._no_clicks

    async def _read_clicks(self, _: str, depends: Depends) -> tuple[Clicks, bool]:
        """Of no request: what one has left of its time, or has failed to read, is nothing to it."""
        keys = [self.keys.popular(scope) for scope in (POPULAR_SHOWN, POPULAR_CLICKED)]
        depends(keys)
        try:
            shown, clicked = [
                await self.link.call(self._timeout_s, "ZRANGE", _encoded(key), 0, -1, "REV", "WITHSCORES")
                for key in keys
            ]
            return Clicks(_unpack_ranked(shown)[0], _unpack_ranked(clicked)[0]), True
        except Unavailable:
            raise  # what was read before serves on
        except Exception:  # noqa: BLE001 - a value that is none of ours: then nothing is known
            return self._no_clicks, True

    def _changed(self, keys: Sequence[str] | None) -> None:
        for kept in (self.cache, self._made, self._clicks):
            kept.changed(keys)

    def _lost_track(self) -> None:
        for kept in (self.cache, self._made, self._clicks):
            kept.lost_track()

    async def experiment(self, name: str) -> Stored | None:
        """How an experiment stands, as the job wrote it; None: nothing was shown of it, or nothing that can be read."""
        (found,) = await self._read([self.keys.experiment(name)], unpack_stored)
        return cast("Stored | None", found)

    async def rule_version(self) -> str | None:
        """By which rules the job runs now; None: it has not said so."""
        version: str | None = await self._ask(self.keys.meta, _unpack_text, "HGET", "rule_version")
        return version

    async def call(self, *command: Argument) -> Reply:
        """A reply that is not cached.

        Raises:
            Unavailable: there is none in time.
        """
        attention = current(self._deadline_s)
        try:
            return await self.link.call(self._patience_s(attention), *command)
        except Unavailable:
            attention.give_up()
            self.failures += 1
            raise

    def _read(
        self, keys: list[str], unpack: Unpack, *, needs_first: bool = False, unread: Unread | None = None
    ) -> Awaitable[list[Any]]:
        """The values of these keys.

        Args:
            keys: of which values.
            unpack: gives the value of what is packed; None is packed where there is nothing.
            needs_first: without that of the first one the others say nothing.
            unread: stands for values that are not known; None: they count as not being there.
        """
        entries = self.cache.all_fresh(keys)
        known = [entry.value for entry in entries if entry is not None]
        self.hits += len(known)
        if len(known) == len(keys):
            return Ready(known)
        instead = unpack(None) if unread is None else unread
        return self._read_missing(keys, entries, unpack, instead, needs_first=needs_first)

    async def _read_missing(
        self, keys: list[str], entries: list[Entry | None], unpack: Unpack, instead: Any, *, needs_first: bool
    ) -> list[Any]:
        """The values of entries, and of those that are None from Redis; `instead`: what cannot be read."""
        attention = current(self._deadline_s)
        wanted = list(dict.fromkeys(key for key, entry in zip(keys, entries, strict=True) if entry is None))
        try:
            values = await self._fetch(wanted, unpack, attention)
        except Unavailable:
            old = self._old(keys, attention, needs_first=needs_first)
            return [instead if entry is None else entry.value for entry in old]
        self.misses += len(wanted)
        return [values[key] if entry is None else entry.value for key, entry in zip(keys, entries, strict=True)]

    async def _fetch(self, keys: list[str], unpack: Unpack, attention: Attention) -> Mapping[str, Any]:
        future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        factor = LIST_FACTOR if unpack is PackedNeighbours else UNPACKED_FACTOR

        def keep(reply: Reply) -> None:  # where it is read: a change that is told next must find it in the cache
            if isinstance(reply, Exception):
                settle(future, reply)
                return
            values = {}
            for key, packed in zip(keys, reply, strict=True):
                values[key] = value = _safely(unpack, packed)
                self.cache.put(key, value, len(packed) if packed is not None else 0, factor)
            settle(future, values)

        within_s = self._patience_s(attention)
        self.link.send(keep, "MGET", *map(_encoded, keys))
        found: Mapping[str, Any] = await self.link.wait(future, within_s)
        return found

    async def _ask(self, key: str, unpack: Callable[[Reply], tuple[Any, int]], command: str, *rest: Argument) -> Any:
        """What a command says of one key; `unpack` gives the value and its size in bytes."""
        entry = self.cache.fresh(key)
        if entry is not None:
            self.hits += 1
            return entry.value
        attention = current(self._deadline_s)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def keep(reply: Reply) -> None:
            if isinstance(reply, Exception):
                if not str(reply).startswith(WRONG_TYPE):
                    settle(future, reply)
                    return
                reply = None  # a value of another kind is not ours, and so nothing
            value, size = unpack(reply)
            self.cache.put(key, value, size)
            settle(future, value)

        try:
            within_s = self._patience_s(attention)
            self.link.send(keep, command, _encoded(key), *rest)
            value = await self.link.wait(future, within_s)
        except Unavailable:
            old = self._old([key], attention)[0]
            return None if old is None else old.value
        self.misses += 1
        return value

    def _old(self, keys: list[str], attention: Attention, *, needs_first: bool = False) -> list[Entry | None]:
        """The values as they were; None for those that were never read, or too long ago.

        Raises:
            Unavailable: that is all of them, or the one that is needed.
        """
        attention.give_up()
        entries = [self.cache.stale(key) for key in keys]
        known = sum(entry is not None for entry in entries)
        self.stale += known
        self.failures += len(entries) - known
        if not known or (needs_first and entries[0] is None):
            raise Unavailable("not known here, and Redis cannot be asked now")
        return entries

    def _patience_s(self, attention: Attention) -> float:
        left_s = min(self._timeout_s, attention.left_s())
        if left_s <= 0:
            raise Unavailable("there is no time left to ask Redis")
        return left_s


def _can_be_made(scope: str) -> bool:
    """Whether a scope that is not written can be made of others."""
    return scope == ALL or scope.startswith((popularity.OF_CATEGORY, popularity.OF_SEGMENT))


def _safely(unpack: Unpack, packed: bytes | None) -> Any:
    """What is unpacked; of what is none of ours, nothing: an error here would cost the connection."""
    try:
        return unpack(packed)
    except Exception:  # noqa: BLE001  (bytes of others may do anything: bad text, nesting without end)
        return unpack(None)


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _unpack_ranked(reply: Reply) -> tuple[Ranked, int]:
    ranked = tuple((item.decode("utf-8", "replace"), float(score)) for item, score in reply or () if isfinite(score))
    return ranked, POPULAR_BYTES_EACH * len(ranked)


def _unpack_text(reply: Reply) -> tuple[str | None, int]:
    return (None, 0) if reply is None else (reply.decode("utf-8", "replace"), len(reply))
