"""Where each key and each character of a string stands in a TOML text; `tomllib` does not tell.

The text has been accepted by `tomllib` before, so this scanner only finds its way and checks nothing.
"""

import tomllib
from bisect import bisect_right
from typing import Final, NamedTuple

Path = tuple[str, ...]

_ESCAPE_LENGTHS: Final = {"u": 6, "U": 10}
_SCALAR_END: Final = frozenset(",]}#\n")


class Spot(NamedTuple):
    """Offsets into the text: of the key, of its value, and of each character if the value is a string."""

    key: int
    value: int
    chars: tuple[int, ...]


class Positions:
    """The place of every key of a TOML text, by its dotted path."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(index + 1 for index, char in enumerate(text) if char == "\n")]
        self.spots = _Scanner(text).spots

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def key(self, path: Path) -> tuple[int, int] | None:
        """Where the key or table of this path is written; for a table made by dotted keys, the first of them."""
        spot = self.spots.get(path) or next((s for p, s in self.spots.items() if p[: len(path)] == path), None)
        return None if spot is None else self.line_column(spot.key)

    def char(self, path: Path, index: int) -> tuple[int, int] | None:
        """Where a character of this path's string is written; past its end, where the string ends."""
        spot = self.spots.get(path)
        if spot is None:
            return None
        if not spot.chars:
            return self.line_column(spot.value)
        return self.line_column(spot.chars[min(index, len(spot.chars) - 1)])


class _Scanner:
    def __init__(self, text: str) -> None:
        self.spots: dict[Path, Spot] = {}
        self._text = text
        self._at = 0
        table: Path = ()
        while self._skip_blank(newlines=True):
            if self._here() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _here(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_blank(self, *, newlines: bool) -> bool:
        """Go to the next thing that is written; whether there is one."""
        while char := self._here():
            if char == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif char in " \t" or (newlines and char == "\n"):
                self._at += 1
            else:
                return True
        return False

    def _header(self) -> Path:
        start = self._at
        while self._here() == "[":
            self._at += 1
        path = self._key()
        while self._here() == "]":
            self._at += 1
        self.spots.setdefault(path, Spot(start, start, ()))
        return path

    def _pair(self, table: Path) -> None:
        start = self._at
        path = table + self._key()
        self._at += 1  # the equals sign
        self._skip_blank(newlines=False)
        value = self._at
        chars = self._value(path)
        self.spots[path] = Spot(start, value, chars)

    def _key(self) -> Path:
        parts: list[str] = []
        while True:
            self._skip_blank(newlines=False)
            start = self._at
            if self._here() in ('"', "'"):
                self._string()
                parts.append(tomllib.loads(f"key = {self._text[start : self._at]}")["key"])
            else:
                while self._here() and self._here() not in ".=] \t\n":
                    self._at += 1
                parts.append(self._text[start : self._at])
            self._skip_blank(newlines=False)
            if self._here() != ".":
                return tuple(parts)
            self._at += 1

    def _value(self, path: Path) -> tuple[int, ...]:
        match self._here():
            case '"' | "'":
                return self._string()
            case "[":
                self._items(path, "]")
            case "{":
                self._items(path, "}")
            case _:
                while self._here() and self._here() not in _SCALAR_END:
                    self._at += 1
        return ()

    def _items(self, path: Path, end: str) -> None:
        self._at += 1
        while self._skip_blank(newlines=True):
            if self._here() == end:
                self._at += 1
                return
            if self._here() == ",":
                self._at += 1
            elif end == "}":
                self._pair(path)
            else:
                self._value((*path, "[]"))

    def _string(self) -> tuple[int, ...]:
        """Pass a string of any of TOML's four kinds; the offset of each of its characters, and of its end."""
        quote = self._here()
        fence = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(fence)
        if len(fence) == 3 and self._here() == "\n":
            self._at += 1
        chars: list[int] = []
        while self._at < len(self._text) and not self._closes(fence):
            if quote == '"' and self._here() == "\\":
                self._escape(chars)
            else:
                chars.append(self._at)
                self._at += 1
        chars.append(self._at)
        self._at += len(fence)
        return tuple(chars)

    def _closes(self, fence: str) -> bool:
        # up to two quotes may stand right before the closing three: the last possible place closes
        if not self._text.startswith(fence, self._at):
            return False
        return len(fence) == 1 or not self._text.startswith(fence, self._at + 1)

    def _escape(self, chars: list[int]) -> None:
        kind = self._text[self._at + 1 : self._at + 2]
        if kind in (" ", "\t", "\n"):  # a line's end is escaped: it and the blanks after it are not in the value
            self._at += 1
            while self._here() and self._here() in " \t\n":
                self._at += 1
            return
        chars.append(self._at)
        self._at += _ESCAPE_LENGTHS.get(kind, 2)
