"""A place for chunks in memory."""


class DictChunkStore(dict[int, bytes]):
    """A ChunkStore for tests, replays without an engine and benchmarks."""

    def get_chunk(self, number: int) -> bytes | None:
        return self.get(number)

    def put_chunk(self, number: int, chunk: bytes) -> None:
        self[number] = chunk

    def drop_chunk(self, number: int) -> None:
        self.pop(number, None)
