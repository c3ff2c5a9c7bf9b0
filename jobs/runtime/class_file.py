"""Just enough of Java's class files to let one method call another: the constants, and all that comes after them."""

import struct
from collections.abc import Callable
from typing import Final

INVOKE_VIRTUAL: Final = b"\xb6"
INVOKE_STATIC: Final = b"\xb8"
NOTHING: Final = b"\x00"
"""The instruction that does nothing."""

_MAGIC: Final = b"\xca\xfe\xba\xbe"
_COUNT_AT: Final = 8
_TEXT, _CLASS, _METHOD, _NAME_AND_TYPE = 1, 7, 10, 12
_OF_TWO_PLACES: Final = (5, 6)
_LENGTHS: Final = {
    **dict.fromkeys((7, 8, 16, 19, 20), 3),
    15: 4,
    **dict.fromkeys((3, 4, 9, 10, 11, 12, 17, 18), 5),
    **dict.fromkeys(_OF_TWO_PLACES, 9),
}
"""Bytes of a constant by its kind, which is the first of them. A text tells its own length."""


class UnexpectedClass(ValueError):  # noqa: N818  (what is wrong is the class, not the program)
    """It is no class file, or is without what is looked for in it."""


def u2(number: int) -> bytes:
    """A number in two bytes: how a constant is named by instructions and by other constants."""
    return struct.pack(">H", number)


class ClassFile:
    """A class that can be changed. Methods that it calls are named as in the file: `java/lang/Object`, `()I`."""

    def __init__(self, content: bytes) -> None:
        """Of the bytes of a class file.

        Raises:
            UnexpectedClass: they are none.
        """
        if not content.startswith(_MAGIC):
            raise UnexpectedClass("no class file")
        try:
            self._constants, end = _constants(content)
        except (struct.error, KeyError, IndexError):
            raise UnexpectedClass("a class file that is damaged, or of a new kind") from None
        self._head, self._rest = content[:_COUNT_AT], content[end:]

    def __bytes__(self) -> bytes:
        return self._head + u2(len(self._constants)) + b"".join(self._constants) + self._rest

    def method(self, owner: str, name: str, descriptor: str) -> int:
        """The number by which instructions of this class name a method.

        Raises:
            UnexpectedClass: none does.
        """
        try:
            return self._constants.index(_method(self._constants.index, owner, name, descriptor))
        except ValueError:
            raise UnexpectedClass(f"a class that does not call {owner}.{name}{descriptor}") from None

    def redirect(self, number: int, owner: str, name: str, descriptor: str) -> None:
        """Let the instructions that name a method by this number call another one."""
        self._constants[number] = _method(self._present, owner, name, descriptor)

    def replace_code(self, before: bytes, after: bytes) -> None:
        """Put other instructions, of the same length, in the one place where these are.

        Raises:
            UnexpectedClass: there is no such place, or several.
        """
        assert len(before) == len(after)  # noqa: S101  (else all that follows would be somewhere else)
        if self._rest.count(before) != 1:
            raise UnexpectedClass("a class with other code")
        self._rest = self._rest.replace(before, after)

    def _present(self, constant: bytes) -> int:
        if constant not in self._constants:
            self._constants.append(constant)
        return self._constants.index(constant)


def _constants(content: bytes) -> tuple[list[bytes], int]:
    """The constants by their numbers, of which some stand for nothing; and where they end."""
    (count,) = struct.unpack_from(">H", content, _COUNT_AT)
    place, found = _COUNT_AT + 2, [b""]
    while len(found) < count:
        kind = content[place]
        length = 3 + struct.unpack_from(">H", content, place + 1)[0] if kind == _TEXT else _LENGTHS[kind]
        found.append(content[place : place + length])
        if kind in _OF_TWO_PLACES:
            found.append(b"")
        place += length
    return found, place


def _method(number_of: Callable[[bytes], int], owner: str, name: str, descriptor: str) -> bytes:
    def text(value: str) -> bytes:
        return u2(number_of(bytes([_TEXT]) + u2(len(value)) + value.encode("ascii")))

    of_class = u2(number_of(bytes([_CLASS]) + text(owner)))
    signature = u2(number_of(bytes([_NAME_AND_TYPE]) + text(name) + text(descriptor)))
    return bytes([_METHOD]) + of_class + signature
