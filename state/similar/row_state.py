"""A row as it is stored: packed now and then, and the messages that came since."""

from collections.abc import Iterable
from typing import Final

from state.similar.message import read_message
from state.similar.row import ItemRow

PENDING_MIN: Final = 16


def should_compact(pending: int, partners: int) -> bool:
    """Whether so many waiting messages are worth rewriting a row of so many partners.

    Rewriting costs about as much as one partner's change for each partner of the row. Waiting for an eighth of that
    number of messages keeps the cost of rewriting within a small factor of that of applying the messages.
    """
    return pending >= max(PENDING_MIN, partners // 8)


class RowState:
    """A row and its waiting messages.

    An operator appends each message to a list state, and loads this only to publish or to compact:

        state = RowState.load(packed_row, pending_messages)
        candidates(state.row, ...)
        packed_row, pending_messages = state.pack(), []
    """

    __slots__ = ("pending", "row")

    def __init__(self, row: ItemRow, pending: int) -> None:
        self.row = row
        self.pending = pending
        """Messages that are in `row`, but not in the stored packed row."""

    @classmethod
    def load(cls, packed: bytes | None, pending_messages: Iterable[bytes] = ()) -> "RowState":
        """From what is stored: the packed row, if there is one, and the messages that came after it."""
        state = cls(ItemRow.unpack(packed) if packed else ItemRow(), 0)
        for message in pending_messages:
            state.add(message)
        return state

    def add(self, message: bytes) -> None:
        """Apply one more message."""
        self.row.apply(read_message(message))
        self.pending += 1

    def should_compact(self) -> bool:
        """Whether it is time to store `pack()` and clear the stored messages."""
        return should_compact(self.pending, len(self.row))

    def pack(self) -> bytes | None:
        """The row with all messages in it, or None if nothing is left: then all state of the item can be cleared."""
        self.pending = 0
        return None if self.row.is_empty else self.row.pack()
