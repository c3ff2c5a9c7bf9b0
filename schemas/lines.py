r"""Lines out of pieces of a file, in bounded memory: split at \n only, without a \r before it, blank ones left out."""

from collections.abc import Iterable, Iterator
from typing import Final

from schemas.rejects import Reason, Rejected

MAX_LINE_BYTES: Final = 16 << 20
"""Lines up to this length are kept whole, so that a reject can show them."""
KEPT_BYTES: Final = 64 << 10
"""Of longer lines this much is kept."""

NumberedLine = tuple[int, bytes, Rejected | None]
"""Number from 1, the line, and the rejection if it is too long to be held."""

_BOM: Final = b"\xef\xbb\xbf"


class _Line:
    """A line that comes in pieces; beyond `MAX_LINE_BYTES` only its head and its length are kept."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        fits = self._size <= MAX_LINE_BYTES
        self._size += len(piece)
        if self._size <= MAX_LINE_BYTES:
            self._pieces.append(piece)
        elif fits:
            self._pieces = [b"".join((*self._pieces, piece))[:KEPT_BYTES]]

    def take(self, number: int) -> NumberedLine | None:
        """The line without its ending and an empty one in its place; None if it is blank."""
        line, size = b"".join(self._pieces), self._size
        self._pieces, self._size = [], 0
        if size > MAX_LINE_BYTES:
            detail = f"a line of {size:,} bytes; truncated: only its first {KEPT_BYTES:,} bytes are kept here"
            return number, line, Rejected(Reason.RECORD_TOO_LARGE, detail)
        line = (line.removeprefix(_BOM) if number == 1 else line).removesuffix(b"\r")
        return (number, line, None) if line.strip() else None


def split_lines(chunks: Iterable[bytes]) -> Iterator[NumberedLine]:
    """Every line that is not blank, with its number; a byte order mark at the very start is taken off."""
    number = 1
    edge = _Line()
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        edge.add(first)
        if not others:
            continue
        if line := edge.take(number):
            yield line
        edge.add(others.pop())
        for text in others:
            number += 1
            if text.strip():
                yield number, text.removesuffix(b"\r"), None
        number += 1
    if line := edge.take(number):
        yield line
