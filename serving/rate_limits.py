"""How many requests a key may make: a token bucket for each, shared by all workers of one server.

A bucket is kept as one number, the time at which it is full again (the generic cell rate algorithm of ITU-T I.371, as
virtual scheduling): a request moves it on by the time that one token takes. So a worker that is killed while it counts
leaves nothing half done.
"""

import fcntl
import mmap
import os
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from serving.api_keys import ApiKey

_ROUNDING_S = 1e-5
"""Sums of many small times are off by less; so much too early a request may be."""


class _Bucket(NamedTuple):
    place: int
    rate_per_s: float
    burst: float


class RateLimits:
    """Counts requests of each key. Made before the workers are forked, so that they count together.

    Each request takes a lock of its key's bucket: on a byte of a file, as the system lets go of that for a worker that
    dies. Bound: one number for each key.
    """

    def __init__(
        self, keys: Iterable[ApiKey], rate_per_s: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Full buckets for everybody.

        Args:
            keys: all that may ask.
            rate_per_s: for keys that say nothing; 0: any number.
            burst: requests at once; 0: twice the rate of a second.
            clock: seconds, the same for all workers; another one is for the tests.
        """
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        for key in keys:
            rate = rate_per_s if key.rate_per_s is None else key.rate_per_s
            at_once = (burst if key.burst is None else key.burst) or 2 * rate
            if rate:
                self._buckets[key.name] = _Bucket(len(self._buckets), rate, max(at_once, 1.0))
        self._full_at_s = memoryview(mmap.mmap(-1, 8 * max(1, len(self._buckets)))).cast("d")
        """By place, when each bucket is full again; in the past: it is."""
        self._locks = os.fdopen(os.memfd_create("segmill-rates"), "r+b")
        """Of memory: there may be no disk to write to."""

    def wait_s(self, key: ApiKey) -> float:
        """0 if the request may be made now, and it is counted; else how long to wait."""
        bucket = self._buckets.get(key.name)
        if bucket is None:
            return 0.0
        place, rate_per_s, burst = bucket
        fcntl.lockf(self._locks, fcntl.LOCK_EX, 1, place)
        try:
            now_s = self._clock()
            full_at_s = max(self._full_at_s[place], now_s) + 1 / rate_per_s
            wait_s = full_at_s - now_s - burst / rate_per_s
            if wait_s > _ROUNDING_S:
                return wait_s
            self._full_at_s[place] = full_at_s
        finally:
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, place)
        return 0.0
