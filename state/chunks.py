"""Append-mostly columns that stay cheap to save however long they grow.

A customer's whole state is one packed value. What grows without end for a hot customer (the times of a hundred
thousand views, say) would make that value dear to write at every event, so a column seals its oldest entries into
immutable chunks of a fixed size, kept under a number of their own in a `ChunkStore`; only the unsealed tail travels in
the packed value. A customer of ordinary size never seals a chunk.

Entries have absolute indices that never change: dropping old entries moves `first`, appending moves `end`.

        first              sealed            end
          |---- chunks -----|---- inline -----|
"""

from array import array
from typing import Any, Generic, Protocol, TypeVar

from state.packing import pack, unpack

T = TypeVar("T")

CHUNK_ENTRIES = 128
_NONE: frozenset[int] = frozenset()
CHUNK_NUMBER_BITS = 40  # a chunk's key is (column << 40) | chunk


class ChunkStore(Protocol):
    """Where sealed chunks live: Flink's MapState in a job, a dict in tests."""

    def get_chunk(self, number: int) -> bytes | None: ...

    def put_chunk(self, number: int, chunk: bytes) -> None: ...

    def drop_chunk(self, number: int) -> None: ...


class Column(Generic[T]):
    """The entries [first, end) of one column, all of them in memory while the customer is."""

    __slots__ = ("chunk", "dirty", "dropped", "end", "first", "number", "saved", "sealed", "stored", "values")
    values: Any  # a list, or an array of integers

    def __init__(self, number: int, chunk: int = CHUNK_ENTRIES) -> None:
        self.number = number << CHUNK_NUMBER_BITS
        self.chunk = chunk
        self.values = self._empty()
        self.first = self.end = 0
        """`end`: the index that the next entry will have."""
        self.sealed = 0
        self.dropped = 0  # chunks below this number no longer exist
        self.stored = 0  # nor do those from this number on
        self.dirty: set[int] | frozenset[int] = _NONE  # most columns never have a chunk
        self.saved: list[Any] | None = None  # what the last `save` returned, until something changes

    def append(self, value: T) -> None:
        """Add the newest entry."""
        self.values.append(value)
        self.end += 1
        self.saved = None

    def _empty(self) -> Any:
        raise NotImplementedError

    def _encode(self, values: Any) -> bytes:
        raise NotImplementedError

    def _decode(self, packed: bytes) -> Any:
        raise NotImplementedError

    def truncate(self, end: int) -> None:
        """Forget the entries from `end` on."""
        del self.values[max(0, end - self.first) :]
        self.end = self.first + len(self.values)
        self.saved = None
        if end < self.sealed:
            self.sealed = max(self.dropped * self.chunk, end - end % self.chunk)

    def touch(self, index: int) -> None:
        """Say that the entry at `index` was changed in place."""
        self.saved = None
        if index < self.sealed:
            self.dirty = {*self.dirty, index // self.chunk}

    def drop_before(self, index: int) -> None:
        """Forget the entries below `index`; they must no longer be asked for."""
        if index > self.first:
            del self.values[: index - self.first]
            self.first = index
            self.end = index + len(self.values)
            self.saved = None

    def save(self, store: ChunkStore) -> list[Any]:
        """Seal and drop what is due in `store`; returns what goes into the packed value (not to be changed)."""
        if self.saved is not None:
            return self.saved
        first, chunk = self.first, self.chunk
        if (
            self.end - self.sealed >= chunk
            or self.dirty
            or self.stored * chunk > self.sealed
            or first // chunk > self.dropped
        ):
            self._tidy(store)
        self.saved = [first, self.sealed, self._encode_from(max(first, self.sealed))]
        return self.saved

    def _tidy(self, store: ChunkStore) -> None:
        """Bring the chunks in `store` up to date."""
        if self.end - self.sealed >= self.chunk:
            self._seal(store)
        if self.dirty:
            for chunk in self.dirty:
                if chunk * self.chunk < self.sealed:
                    self._put(store, chunk)
            self.dirty = _NONE
        if self.stored * self.chunk > self.sealed:  # sealed once, and truncated since
            self._drop_stored(store, max(self.dropped, self.sealed // self.chunk))
        if self.first // self.chunk > self.dropped:
            self._drop_chunks(store, self.first // self.chunk)

    def _encode_from(self, start: int) -> bytes:
        """The entries from index `start` on, encoded."""
        return self._encode(self.values[start - self.first :] if start > self.first else self.values)

    def _seal(self, store: ChunkStore) -> None:
        self.sealed = max(self.sealed, self.first - self.first % self.chunk)
        while self.end - self.sealed >= self.chunk:
            self._put(store, self.sealed // self.chunk)
            self.sealed += self.chunk

    def _put(self, store: ChunkStore, chunk: int) -> None:
        start = max(chunk * self.chunk, self.first) - self.first
        stop = (chunk + 1) * self.chunk - self.first
        if stop > 0:
            store.put_chunk(self.number | chunk, self._encode(self.values[start:stop]))
            self.stored = max(self.stored, chunk + 1)

    def _drop_chunks(self, store: ChunkStore, before: int) -> None:
        for chunk in range(self.dropped, min(before, self.sealed // self.chunk)):
            store.drop_chunk(self.number | chunk)
        self.dropped = before

    def _drop_stored(self, store: ChunkStore, start: int) -> None:
        for chunk in range(start, self.stored):
            store.drop_chunk(self.number | chunk)
        self.stored = start

    def load(self, packed: list[Any], store: ChunkStore) -> None:
        """Take up what `save` returned, reading the sealed chunks from `store`."""
        self.saved = None
        self.first, self.sealed, inline = packed
        self.dropped = self.first // self.chunk
        self.stored = self.sealed // self.chunk
        if self.dropped >= self.stored:  # most columns have no chunk
            self.values = self._decode(inline)
            self.end = self.first + len(self.values)
            return
        self.values = self._empty()
        for chunk in range(self.dropped, self.stored):
            content = store.get_chunk(self.number | chunk)
            if content is None:
                raise LookupError(f"chunk {chunk} of column {self.number >> CHUNK_NUMBER_BITS} is missing")
            values = self._decode(content)
            # a chunk may hold entries that were dropped since it was sealed: it is aligned to its end
            stale = self.first - ((chunk + 1) * self.chunk - len(values))
            self.values.extend(values[stale:] if stale > 0 else values)
        self.values.extend(self._decode(inline))
        self.end = self.first + len(self.values)

    def clear(self, store: ChunkStore) -> None:
        """Forget everything, sealed chunks too, and start again at index 0."""
        self._drop_stored(store, self.dropped)
        self.values = self._empty()
        self.first = self.end = self.sealed = self.dropped = self.stored = 0
        self.dirty = _NONE
        self.saved = None


class Int64Column(Column[int]):
    """Integers, eight little-endian bytes each."""

    __slots__ = ()

    def _empty(self) -> "array[int]":
        return array("q")

    def _encode(self, values: "array[int]") -> bytes:
        return values.tobytes()

    def _decode(self, packed: bytes) -> "array[int]":
        return array("q", packed)


class RecordColumn(Column[Any]):
    """Plain values that MessagePack can hold (lists, strings, integers).

    The unsealed tail is kept encoded beside the values and grows with them: to encode it anew at every save would fetch
    every entry from memory, which takes longer than all else that is done for an event.
    """

    __slots__ = ("body", "body_end", "body_start")

    def __init__(self, number: int, chunk: int = CHUNK_ENTRIES) -> None:
        super().__init__(number, chunk)
        self.body = b""  # the entries [body_start, body_end), encoded one after the other
        self.body_start = self.body_end = 0

    def _encode_from(self, start: int) -> bytes:
        end = self.end
        if start != self.body_start:
            self.body, self.body_start, self.body_end = b"", start, start
        if end > self.body_end:
            self.body += b"".join(map(pack, self.values[self.body_end - self.first :]))
            self.body_end = end
        return _array_header(end - start) + self.body

    def truncate(self, end: int) -> None:
        """Forget the entries from `end` on."""
        super().truncate(end)
        if end < self.body_end:
            self._forget_body()

    def touch(self, index: int) -> None:
        """Say that the entry at `index` was changed in place."""
        super().touch(index)
        if index < self.body_end:
            self._forget_body()

    def clear(self, store: ChunkStore) -> None:
        """Forget everything, sealed chunks too, and start again at index 0."""
        super().clear(store)
        self._forget_body()

    def load(self, packed: list[Any], store: ChunkStore) -> None:
        """Take up what `save` returned, reading the sealed chunks from `store`."""
        super().load(packed, store)
        self._forget_body()

    def _forget_body(self) -> None:
        self.body, self.body_start, self.body_end = b"", -1, -1

    def _empty(self) -> list[Any]:
        return []

    def _encode(self, values: list[Any]) -> bytes:
        return pack(values)

    def _decode(self, packed: bytes) -> list[Any]:
        return unpack(packed)  # type: ignore[no-any-return]


def _array_header(length: int) -> bytes:
    """What MessagePack puts before the elements of an array (at most 65,535 of them)."""
    return _SHORT_HEADERS[length] if length < 16 else b"\xdc" + length.to_bytes(2, "big")


_SHORT_HEADERS = [bytes([0x90 | length]) for length in range(16)]
