"""Bytes out of plain, gzip, xz and Zstandard files: told apart by content, checked to their end, in bounded memory."""

import lzma
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import zstandard

from schemas.records import LogError

CHUNK_BYTES: Final = 1 << 20
"""At most this much comes out at once, whatever the ratio of compression."""
_READ_BYTES: Final = 1 << 18
# Zstandard's decompressor has no bound on its output. A block of 128 KiB can be packed into 4 bytes, so little goes in.
_ZSTD_READ_BYTES: Final = 512


class Container(StrEnum):
    """How a file is packed."""

    PLAIN = "plain"
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"
    PARQUET = "parquet"


_MAGIC: Final[tuple[tuple[bytes, Container], ...]] = (
    (b"\x1f\x8b", Container.GZIP),
    (b"\xfd7zXZ\x00", Container.XZ),
    (b"\x28\xb5\x2f\xfd", Container.ZSTD),
    (b"PAR1", Container.PARQUET),
)
# pzstd puts frames that hold nothing but sizes before the others; the low half of their first byte is free
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"


def container_of(path: Path) -> Container:
    """How the file is packed, by its first bytes.

    Raises:
        LogError: it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror or error}") from error
    if head[1:4] == _ZSTD_SKIPPABLE and head[0] & 0xF0 == 0x50:
        return Container.ZSTD
    return next((container for magic, container in _MAGIC if head.startswith(magic)), Container.PLAIN)


def read_chunks(path: Path, container: Container, on_read: Callable[[int], None]) -> Iterator[bytes]:
    """The unpacked content in pieces; `on_read` is told how many bytes of the file have been read so far.

    Raises:
        LogError: the file cannot be read, is damaged, or ends too early.
    """
    try:
        with path.open("rb") as file:
            if container is Container.PLAIN:
                yield from _plain(file, on_read)
            else:
                yield from _unpacked(file, container, on_read)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror or error}") from error
    except EOFError:
        raise LogError(f"{path}: the {container} data ends too early; the file was cut short, copy it again") from None
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        raise LogError(f"{path}: damaged {container} data ({error}); copy the file again") from error


def _plain(file: BinaryIO, on_read: Callable[[int], None]) -> Iterator[bytes]:
    position = 0
    while chunk := file.read(CHUNK_BYTES):
        position += len(chunk)
        on_read(position)
        yield chunk


class _Stream(Protocol):
    """One gzip member, xz stream or Zstandard frame."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...
    def rest(self) -> bytes | None:
        """What follows the end of the stream; None as long as it has not ended."""


class _GzipStream:
    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(wbits=31)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            out = self._unpacker.decompress(data, CHUNK_BYTES)
            if out:
                yield out
            data = self._unpacker.unconsumed_tail
            if self._unpacker.eof or (not data and len(out) < CHUNK_BYTES):
                return

    def rest(self) -> bytes | None:
        return self._unpacker.unused_data if self._unpacker.eof else None


class _XzStream:
    def __init__(self) -> None:
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 29)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            out = self._unpacker.decompress(data, CHUNK_BYTES)
            if out:
                yield out
            data = b""
            if self._unpacker.eof or self._unpacker.needs_input:
                return

    def rest(self) -> bytes | None:
        return self._unpacker.unused_data if self._unpacker.eof else None


class _ZstdStream:
    def __init__(self) -> None:
        self._unpacker = zstandard.ZstdDecompressor().decompressobj()
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_READ_BYTES):
            out = self._unpacker.decompress(data[start : start + _ZSTD_READ_BYTES])
            if out:
                yield out
            if self._unpacker.eof:
                self._rest = self._unpacker.unused_data + data[start + _ZSTD_READ_BYTES :]
                return

    def rest(self) -> bytes | None:
        return self._rest if self._unpacker.eof else None


_STREAMS: Final[dict[Container, Callable[[], _Stream]]] = {
    Container.GZIP: _GzipStream,
    Container.XZ: _XzStream,
    Container.ZSTD: _ZstdStream,
}


def _unpacked(file: BinaryIO, container: Container, on_read: Callable[[int], None]) -> Iterator[bytes]:
    """All streams of the file, one after the other; zeros between and behind them are padding."""
    position = 0
    stream: _Stream | None = None
    data = b""
    while True:
        if not data:
            data = file.read(_READ_BYTES)
            position += len(data)
            on_read(position)
        if not data:
            break
        if stream is None:
            data = data.lstrip(b"\x00")
            if not data:
                continue
            stream = _STREAMS[container]()
        yield from stream.feed(data)
        rest = stream.rest()
        data = rest or b""
        if rest is not None:
            stream = None
    if stream is not None:
        raise EOFError
