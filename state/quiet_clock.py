"""The clock of the live job: never ahead of what the source may still bring, never standing still on a quiet topic.

::

    watermark of the source   10:00  10:00:07 ........................ (quiet) ........ 12:31:04
    wall clock                10:00  10:00:07  10:00:19  10:00:20 ...  12:31:00  12:31:10
    this clock                10:00  10:00:07  10:00:19  10:00:20 ...  12:31:00  12:31:14

**Quiet.** Event time goes on at the pace of the wall clock. It never jumps to it: while the replay of an old log
pauses, the year of the log goes on, second by second. What passed while no job was running counts if the source was
close to the wall clock before. A clock that lags far behind, as in a replay, runs for half of the allowed lateness at
most: so a pause, however long, makes no event too late.

**Awake again.** A source that was quiet has no partition that holds its watermark back. The first one that wakes may
bring weeks of a log before another brings its first record, and all of that would be too late. So for WAKING_MS the
watermark of the source is not believed, until all partitions that have something to say have begun to.
"""

from typing import Final

from state.packing import pack, unpack

VERSION: Final = 2
"""1 did not know how much time had passed."""
LIVE_LAG_MS: Final = 86_400_000
"""A source whose watermark is at most this far behind the wall clock is live; else it is a replay."""
WAKING_MS: Final = 10_000


class QuietClock:
    """State: the newest watermark that was believed, the wall clock when it came, and how much time has passed since.

    Some 30 bytes, packed.
    """

    def __init__(self, patience_ms: int, allowed_lateness_ms: int, now_ms: int, packed: bytes | None = None) -> None:
        """`now_ms`: the wall clock, now that the job starts; `packed`: the state that a job before left.

        `patience_ms`: the source is quiet if nothing has moved its watermark for so long.
        """
        self._patience_ms, self._most_ms = patience_ms, allowed_lateness_ms // 2
        self._woke_ms = self._moved_ms = self._since_ms = now_ms
        self._base_ms: int | None = None
        self._seen_ms = -1  # the source's watermark as last seen in this run of the job
        self._passed_ms = 0  # while the source was quiet
        if packed is not None:
            version, self._base_ms, self._since_ms, *passed = unpack(packed)
            if version > VERSION:
                raise ValueError(f"the clock of the live job was written by a newer program (version {version})")
            self._passed_ms = passed[0] if passed else 0
            if not self._is_live:  # a replay that was interrupted goes on where it was
                self._since_ms = now_ms - self._passed_ms

    def packed(self) -> bytes:
        """The state."""
        return pack((VERSION, self._base_ms, self._since_ms, self._passed_ms))

    def pulse(self, watermark_ms: int, now_ms: int) -> int | None:
        """Whenever the watermark moves, and once a second: what time it is, or None if nobody knows."""
        if watermark_ms > self._seen_ms:
            if now_ms - self._moved_ms >= self._patience_ms:
                self._woke_ms = now_ms
            self._seen_ms, self._moved_ms = watermark_ms, now_ms
        waking = now_ms - self._woke_ms < WAKING_MS
        if not waking and (self._base_ms is None or self._seen_ms > self._base_ms) and self._seen_ms >= 0:
            self._base_ms, self._since_ms, self._passed_ms = self._seen_ms, self._moved_ms, 0
        if self._base_ms is None:
            return None
        if not waking and now_ms - self._moved_ms < self._patience_ms:
            return self._base_ms
        passed_ms = max(0, now_ms - self._since_ms)
        self._passed_ms = passed_ms if self._is_live else min(passed_ms, self._most_ms)
        return self._base_ms + self._passed_ms

    def is_quiet(self, now_ms: int) -> bool:
        """Whether nothing but the wall clock moves the time."""
        return self._seen_ms < 0 or now_ms - self._moved_ms >= self._patience_ms

    @property
    def _is_live(self) -> bool:
        return self._base_ms is not None and self._since_ms - self._base_ms <= LIVE_LAG_MS
