"""Which segments there are, what they mean, and who is in them."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import hiredis

from schemas.keys import beginning_with
from serving.redis_link import Unavailable
from serving.redis_source import RedisSource
from serving.segment_pages import Member, first_after
from state.rules.features import FEATURES
from state.rules.ruleset import RuleSet

LOOK_EVERY_S, LOOK_AGAIN_S = 120.0, 1.0
"""So often Redis is looked through for segments that no rule file here names; sooner after a failure."""
_SCAN_COUNT, _SCAN_PAUSE_S = 250, 0.005
_TRIES = 5
"""At a page that members leave from while it is read."""
_MOST_MS = 2**53
"""Beyond it is no time, though a score may be anything, infinity included."""
_LITERAL, _WORD = re.compile(r'"[^"]*"'), re.compile(r"[a-z_][a-z_0-9]*")


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """What a rule file says of a segment."""

    description: str
    condition: str
    reads: tuple[str, ...]
    """Features that the condition to enter names."""


def rules_told(rules: RuleSet) -> dict[str, RuleInForce]:
    """By segment."""
    return {
        segment.name: RuleInForce(
            segment.description,
            segment.enter.canonical,
            tuple(sorted(set(_WORD.findall(_LITERAL.sub("", segment.enter.canonical))) & set(FEATURES))),
        )
        for segment in rules.segments
    }


class SegmentStore:
    """Segments in Redis."""

    def __init__(self, source: RedisSource, rules: RuleSet) -> None:
        self._source, self._rules, self._told = source, rules, rules_told(rules)
        self._names = set(self._told)
        self._counts: dict[str, int] = {}

    async def rules_in_force(self) -> Mapping[str, RuleInForce]:
        """What this server's rule file says, if the job runs by it; else, or if that cannot be told now, nothing."""
        with suppress(Unavailable):
            if await self._source.rule_version() in (None, self._rules.version):
                return self._told
        return {}

    async def counts(self) -> dict[str, int]:
        """Members of each segment, by name; of segments that have none, too, if a rule file names them.

        Raises:
            Unavailable: Redis cannot be asked, and never could.
        """
        names = sorted(self._names)
        key = self._source.keys.segment
        try:
            replies = await asyncio.gather(
                *(self._source.call("ZCARD", key(name)) for name in names), return_exceptions=True
            )
        except Unavailable:
            replies = []
        if any(isinstance(reply, Unavailable) for reply in replies):
            if not self._counts:
                raise Unavailable("segments were never counted")
            return self._counts
        self._counts = {name: reply for name, reply in zip(names, replies, strict=True) if isinstance(reply, int)}
        return self._counts

    async def members(self, segment: str, count: int, after: Member | None) -> list[Member]:
        """Up to so many members behind `after`, by entry and id.

        Raises:
            Unavailable: Redis cannot be asked.
        """
        key = self._source.keys.segment(segment)
        try:
            if after is None:
                return _members(await self._source.call("ZRANGE", key, 0, count - 1, "WITHSCORES"))
            for _ in range(_TRIES):
                begin = await self._rank_after(key, after)
                first = max(0, begin - 1)  # seen with the page: whoever leaves before it meanwhile moves all others up
                found = _members(await self._source.call("ZRANGE", key, first, begin + count - 1, "WITHSCORES"))
                page = [one for one in found if (one[1], one[0]) > (after[1], after[0])]
                if not begin or len(page) < len(found):
                    break
            return page[:count]
        except hiredis.ReplyError:  # a value of another kind is nobody's segment
            return []

    async def watch(self) -> None:
        """Look for segments now and then, until cancelled."""
        while True:
            pause_s = LOOK_AGAIN_S
            with suppress(Unavailable, hiredis.ReplyError):
                await self._look()
                pause_s = LOOK_EVERY_S
            await asyncio.sleep(pause_s)

    async def _look(self) -> None:
        link, keys = self._source.link, self._source.keys
        start, cursor, names = keys.segment(""), b"0", set(self._told)
        while True:
            cursor, found = await link.call(
                1.0, "SCAN", cursor, "MATCH", beginning_with(start), "COUNT", _SCAN_COUNT, "TYPE", "zset"
            )
            names |= {key.decode("utf-8", "replace")[len(start) :] for key in found}
            if cursor == b"0":
                break
            await asyncio.sleep(_SCAN_PAUSE_S)
        self._names = names

    async def _rank_after(self, key: str, after: Member) -> int:
        customer, since_ms = after
        rank, score, low, high = await asyncio.gather(
            self._source.call("ZRANK", key, customer),
            self._source.call("ZSCORE", key, customer),
            self._source.call("ZCOUNT", key, "-inf", f"({since_ms}"),
            self._source.call("ZCOUNT", key, "-inf", since_ms),
        )
        if rank is not None and score is not None and _since_ms(score) == since_ms:
            return int(rank) + 1

        async def at(index: int) -> Member | None:
            found = _members(await self._source.call("ZRANGE", key, index, index, "WITHSCORES"))
            return found[0] if found else None

        return await first_after(after, int(low), int(high), at)


def _members(reply: Any) -> list[Member]:
    return [(customer, _since_ms(score)) for customer, score in reply]


def _since_ms(score: float) -> int:
    return int(max(-_MOST_MS, min(score, _MOST_MS)))
