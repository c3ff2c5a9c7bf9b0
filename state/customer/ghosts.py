"""What stays after an erasure: when it was, and hashes of the event ids that it covered.

They keep an erased event that is delivered again, or late, from bringing the customer back. Once no event of before
the erasure can arrive in time any more, they go too.
"""

import hashlib
from typing import Any

from msgspec import Raw

from schemas.facts import Fact
from state.chunks import CHUNK_NUMBER_BITS, ChunkStore
from state.customer.fold import ERASED
from state.packing import part

HASH_BYTES = 8
INLINE_BYTES = 512
_CHUNK = ERASED << CHUNK_NUMBER_BITS


class Ghosts:
    """Empty (and false) unless the customer was erased within the allowed lateness."""

    __slots__ = ("applied", "erased", "hashes", "saved", "stored", "suppressed")

    def __init__(self) -> None:
        self.erased: tuple[int, str] = (-1, "")  # the newest erasure: (time_ms, event_id)
        self.hashes: set[bytes] = set()
        self.applied = self.suppressed = 0  # outcomes of what was erased: numbers, no longer anybody's
        self.saved: Raw | None = None  # packed, until something changes
        self.stored = False  # whether the hashes lie in the store, being many

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

    def save(self, store: ChunkStore) -> Raw:
        """For the packed state; many hashes go to `store`, so that they do not travel with every event."""
        if self.saved is None:
            hashes: bytes | None = b"".join(sorted(self.hashes))
            if hashes is not None and len(hashes) > INLINE_BYTES:
                store.put_chunk(_CHUNK, hashes)
                self.stored, hashes = True, None
            elif self.stored:
                store.drop_chunk(_CHUNK)
                self.stored = False
            self.saved = part([*self.erased, hashes, self.applied, self.suppressed])
        return self.saved

    def load(self, packed: list[Any], store: ChunkStore) -> None:
        """Take up what `save` returned."""
        time_ms, event_id, hashes, self.applied, self.suppressed = packed
        self.erased = (time_ms, event_id)
        if hashes is None:
            hashes, self.stored = store.get_chunk(_CHUNK) or b"", True
        self.hashes = {hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)}


def _hash(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()
