"""Splitting into lines."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from schemas.lines import KEPT_BYTES, MAX_LINE_BYTES, split_lines
from schemas.rejects import Reason

pieces = st.lists(st.text(alphabet="a\n\r \u2028\x85", max_size=12).map(str.encode), max_size=12)


class TestSplit:
    """Lines do not depend on how the bytes came."""

    @given(pieces)
    def test_any_pieces(self, chunks: list[bytes]) -> None:
        r"""Only \n ends a line; one \r before it is taken off; blank lines are counted and left out."""
        expected = [
            (number, line.removesuffix(b"\r"), None)
            for number, line in enumerate(b"".join(chunks).split(b"\n"), 1)
            if line.strip()
        ]
        assert list(split_lines(chunks)) == expected

    def test_byte_order_mark(self) -> None:
        """A mark at the start of the file is no part of its first line."""
        assert list(split_lines([b"\xef", b"\xbb\xbf{}\n", b"\xef\xbb\xbf"])) == [
            (1, b"{}", None),
            (2, b"\xef\xbb\xbf", None),
        ]


class TestLongLines:
    """A line without an end does not exhaust memory."""

    def test_kept_whole(self) -> None:
        """Up to the bound a line is kept, for the decoder to reject."""
        line = b"x" * MAX_LINE_BYTES
        assert list(split_lines([line, b"\n"])) == [(1, line, None)]

    def test_truncated(self) -> None:
        """Of a longer one only its head is kept, and what follows is read as usual."""

        def chunks() -> Iterator[bytes]:
            yield b"first\n"
            for _ in range(300):
                yield b"y" * (1 << 20)
            yield b"\nlast"

        first, long, last = split_lines(chunks())
        assert (first, last) == ((1, b"first", None), (3, b"last", None))
        assert long[:2] == (2, b"y" * KEPT_BYTES)
        assert long[2] is not None
        assert long[2].reason is Reason.RECORD_TOO_LARGE
        assert "truncated" in long[2].detail
        assert f"{300 << 20:,}" in long[2].detail
