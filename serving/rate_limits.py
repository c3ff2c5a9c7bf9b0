"""How many requests a key may make: a token bucket for each."""

import time
from collections.abc import Callable

from serving.api_keys import ApiKey


class _Bucket:
    __slots__ = ("at_s", "burst", "rate_per_s", "tokens")

    def __init__(self, rate_per_s: float, burst: float, at_s: float) -> None:
        self.rate_per_s, self.burst, self.at_s, self.tokens = rate_per_s, burst, at_s, burst


class RateLimits:
    """Counts requests of each key in this worker."""

    def __init__(
        self, rate_per_s: float, burst: float, share: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Full buckets for everybody.

        Args:
            rate_per_s: for keys that say nothing; 0: any number.
            burst: requests at once; 0: twice the rate of a second.
            share: this worker's part of all requests.
            clock: seconds, for the tests.
        """
        self._rate_per_s, self._burst, self._share, self._clock = rate_per_s, burst, share, clock
        self._buckets: dict[str, _Bucket] = {}

    def wait_s(self, key: ApiKey) -> float:
        """0 if the request may be made now, and it is counted; else how long to wait."""
        rate_per_s = (self._rate_per_s if key.rate_per_s is None else key.rate_per_s) * self._share
        if not rate_per_s:
            return 0.0
        now_s = self._clock()
        bucket = self._buckets.get(key.name)
        if bucket is None:
            burst = (self._burst if key.burst is None else key.burst) * self._share or 2 * rate_per_s
            bucket = self._buckets[key.name] = _Bucket(rate_per_s, max(burst, 1.0), now_s)
        bucket.tokens = min(bucket.burst, bucket.tokens + (now_s - bucket.at_s) * rate_per_s)
        bucket.at_s = now_s
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate_per_s
        bucket.tokens -= 1
        return 0.0
