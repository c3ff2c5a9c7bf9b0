"""What stays after an erasure: when it was, and hashes of the event ids that it covered.

They keep an erased event that is delivered again, or late, from bringing the customer back. Once no event of before
the erasure can arrive in time any more, they go too.
"""

import hashlib
from typing import Any

from msgspec import Raw

from schemas.facts import Fact
from state.packing import part

HASH_BYTES = 8


class Ghosts:
    """Empty (and false) unless the customer was erased within the allowed lateness."""

    __slots__ = ("applied", "erased", "hashes", "saved", "suppressed")

    def __init__(self) -> None:
        self.erased: tuple[int, str] = (-1, "")  # the newest erasure: (time_ms, event_id)
        self.hashes: set[bytes] = set()
        self.applied = self.suppressed = 0  # outcomes of what was erased: numbers, no longer anybody's
        self.saved: Raw | None = None  # packed, until something changes

    def __bool__(self) -> bool:
        return self.erased[0] >= 0

    def add(self, erase: Fact, event_ids: set[str], applied: int, suppressed: int) -> None:
        """Remember an erasure and what it covered."""
        self.saved = None
        self.erased = max(self.erased, (erase.time_ms, erase.event_id))
        self.hashes.update(map(_hash, event_ids))
        self.hashes.add(_hash(erase.event_id))
        self.applied += applied
        self.suppressed += suppressed

    def knows(self, fact: Fact) -> bool:
        """Whether an event was seen before it was erased."""
        return _hash(fact.event_id) in self.hashes

    def covers(self, fact: Fact) -> bool:
        """Whether an event lies before the erasure: applied and erased in one, it leaves nothing but its id."""
        if (fact.time_ms, fact.event_id) > self.erased:
            return False
        self.saved = None
        self.hashes.add(_hash(fact.event_id))
        self.applied += 1
        return True

    def fade(self, horizon_ms: int) -> None:
        """Forget the ids once events from before the erasure would be too late."""
        if self.hashes and self.erased[0] < horizon_ms:
            self.saved = None
            self.erased = (-1, "")
            self.hashes.clear()

    def packed(self) -> Raw:
        """For the packed state."""
        if self.saved is None:
            self.saved = part([*self.erased, b"".join(sorted(self.hashes)), self.applied, self.suppressed])
        return self.saved

    @classmethod
    def unpacked(cls, packed: list[Any]) -> "Ghosts":
        ghosts = cls()
        time_ms, event_id, hashes, ghosts.applied, ghosts.suppressed = packed
        ghosts.erased = (time_ms, event_id)
        ghosts.hashes = {hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)}
        return ghosts


def _hash(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()
