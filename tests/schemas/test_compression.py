"""Containers."""

import os
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_files import PACK

from schemas.compression import CHUNK_BYTES, Container, container_of, read_chunks
from schemas.records import LogError

PACKED = [name for name in PACK if name != "plain"]


def content_of(path: Path) -> bytes:
    return b"".join(read_chunks(path, container_of(path), lambda _: None))


class TestRead:
    """What was packed comes out."""

    @pytest.mark.parametrize("name", sorted(PACK))
    @settings(max_examples=25)
    @given(contents=st.lists(st.binary(max_size=300), min_size=1, max_size=3))
    def test_round_trip(self, name: str, contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
        """Each container, also of several streams one after the other, is known by its content."""
        path = tmp_path_factory.getbasetemp() / f"any-{name}"
        path.write_bytes(b"".join(map(PACK[name], contents)))
        if name != "plain":
            assert container_of(path) == name
        assert b"".join(read_chunks(path, Container(name), lambda _: None)) == b"".join(contents)

    @pytest.mark.parametrize("name", sorted(PACK))
    def test_progress(self, name: str, tmp_path: Path) -> None:
        """Progress is counted in bytes of the file and ends at its size."""
        path = tmp_path / "log"
        path.write_bytes(PACK[name](os.urandom(1_200_000)))
        seen: list[int] = []
        assert sum(map(len, read_chunks(path, Container(name), seen.append))) == 1_200_000
        assert seen == sorted(seen)
        assert seen[-1] == path.stat().st_size
        assert len(seen) > 1

    @pytest.mark.parametrize("name", PACKED)
    def test_bomb(self, name: str, tmp_path: Path) -> None:
        """However well a file is packed, little comes out at once."""
        path = tmp_path / "log"
        path.write_bytes(PACK[name](bytes(40_000_000)))
        sizes = [len(chunk) for chunk in read_chunks(path, Container(name), lambda _: None)]
        assert sum(sizes) == 40_000_000
        assert max(sizes) <= 20 * CHUNK_BYTES

    def test_padding(self, tmp_path: Path) -> None:
        """Zeros behind a stream are padding, as tape and xz write them."""
        path = tmp_path / "log"
        path.write_bytes(PACK["xz"](b"a") + bytes(8) + PACK["xz"](b"b") + bytes(4))
        assert content_of(path) == b"ab"

    def test_skippable_frame(self, tmp_path: Path) -> None:
        """Frames for other programs, as pzstd writes them, are passed over."""
        path = tmp_path / "log"
        path.write_bytes(b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + PACK["zstd"](b"x"))
        assert content_of(path) == b"x"

    def test_unknown_size(self, tmp_path: Path) -> None:
        """A Zstandard stream need not say how much it holds."""
        path = tmp_path / "log"
        packer = zstandard.ZstdCompressor().compressobj()
        path.write_bytes(packer.compress(b"x" * 1000) + packer.flush())
        assert content_of(path) == b"x" * 1000


class TestDamaged:
    """A file that cannot be read to its end says so."""

    @pytest.mark.parametrize("name", PACKED)
    def test_cut(self, name: str, tmp_path: Path) -> None:
        """A file that ends too early is an error at any length, after what could be read."""
        whole = PACK[name](os.urandom(200))
        path = tmp_path / "log"
        for size in range(1, len(whole)):
            path.write_bytes(whole[:size])
            with pytest.raises(LogError, match="cut short"):
                list(read_chunks(path, Container(name), lambda _: None))

    @pytest.mark.parametrize("name", PACKED)
    def test_flipped(self, name: str, tmp_path: Path) -> None:
        """Damage in the middle is an error that names the file."""
        damaged = bytearray(PACK[name](os.urandom(5_000)))
        damaged[8:40] = bytes(32)
        path = tmp_path / "log"
        path.write_bytes(damaged)
        with pytest.raises(LogError, match="log: "):
            list(read_chunks(path, Container(name), lambda _: None))

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is gone is an error that names it."""
        with pytest.raises(LogError, match="gone"):
            container_of(tmp_path / "gone")
        with pytest.raises(LogError, match="gone"):
            list(read_chunks(tmp_path / "gone", Container.PLAIN, lambda _: None))
