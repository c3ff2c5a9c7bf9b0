"""How writes are spread over the keys of the Redis writer: writes of one key keep their order."""

from zlib import crc32

_NAMES = tuple(str(number) for number in range(128))
MOST_SHARDS = len(_NAMES)


def shard_of(key: str, shards: int) -> str:
    """The writer's key for a write; `shards` is at most MOST_SHARDS and part of the state's layout."""
    return _NAMES[crc32(key.encode()) % shards] if shards > 1 else _NAMES[0]
