"""The item step: collects messages in an item's state, and says when its row and its total go out."""

from typing import Any, Final, NamedTuple, Protocol

from state.packing import pack, unpack
from state.similar.errors import expect_version
from state.similar.message import Fields, read_message
from state.similar.policy import Due, PublishPolicy
from state.similar.publish import pack_total
from state.similar.row_state import RowState
from state.similar.score import candidates, pack_candidates
from state.similar.settings import SimilarSettings

_VERSION: Final = 1


class ItemStore(Protocol):
    """The state of one item: a packed value, and the messages that are not in it yet."""

    def load(self) -> bytes | None: ...
    def save(self, packed: bytes) -> None: ...
    def clear(self) -> None: ...
    def pending(self) -> list[bytes]: ...
    def append(self, message: bytes) -> None: ...
    def drop_pending(self) -> None: ...


class Emitted(NamedTuple):
    """What goes to the publish step; None: nothing."""

    row: bytes | None
    """The item's candidates, packed."""
    total: bytes | None
    """The item's total, packed with its key, for all to know."""


NOTHING: Final = Emitted(None, None)


class ItemStep:
    """Serves many items, each with its own store; most messages only append to it.

    An item's policy is kept in memory for some thousands of items, and is otherwise made again from the store: from the
    policy saved with the row, and the messages since. So nothing is remembered that is not in the store. Rows are not
    kept: to fetch the parts of one from all over the memory takes longer than to unpack it.

    Bound: the store holds a row (`row.py`), at most max(16, partners / 8) messages and about 60 bytes more; it is empty
    once nothing is left of any contribution.
    """

    def __init__(self, settings: SimilarSettings, *, live: bool = True, cached: int = 20_000) -> None:
        """
        Args:
            settings: how many candidates a row sends.
            live: send rows and totals as they change; without it only at the end, all that a bounded run needs.
            cached: items whose policy is kept in memory.
        """
        self._settings, self._live, self._cached = settings, live, cached
        self._policies: dict[str, PublishPolicy] = {}

    def on_message(self, key: str, message: bytes, store: ItemStore) -> Emitted:
        """One message to the item `key` (`relation|item`)."""
        policy = self._policy(key, store)
        fields = read_message(message)
        due = policy.note(fields)
        if not self._live:
            due = Due(False, False, due.compact)
        if due.row or due.total or due.compact:
            return self._settle(key, policy, store, due, fields)
        store.append(message)
        return NOTHING

    def on_end(self, key: str, store: ItemStore) -> Emitted:
        """The input has ended: what was not sent yet."""
        policy = self._policy(key, store)
        return self._settle(key, policy, store, policy.at_end())

    def up_to_date(self, key: str, store: ItemStore) -> Emitted:
        """What was not sent yet, if anything, with more to come."""
        policy = self._policy(key, store)
        due = policy.at_end()
        return self._settle(key, policy, store, due) if due.row or due.total else NOTHING

    def _policy(self, key: str, store: ItemStore) -> PublishPolicy:
        policy = self._policies.get(key)
        if policy is None:
            policy = PublishPolicy.unpack(_unpack(store.load())[0])
            for message in store.pending():
                policy.note(read_message(message))
            if len(self._policies) >= self._cached:
                del self._policies[next(iter(self._policies))]
            self._policies[key] = policy
        return policy

    def _settle(
        self, key: str, policy: PublishPolicy, store: ItemStore, due: Due, fields: Fields | None = None
    ) -> Emitted:
        """Send what is due and store the row anew, with a message that need not wait in the store first."""
        waits = policy.pending > (fields is not None)
        state = RowState.load(_unpack(store.load())[1], store.pending() if waits else ())
        row = state.row
        if fields is not None:
            row.apply(fields)
        emitted = Emitted(
            pack_candidates(candidates(row, self._settings.candidates_max)) if due.row else None,
            pack_total(key, row.total) if due.total else None,
        )
        if waits:
            store.drop_pending()
        packed_row = state.pack()
        if packed_row is None:
            store.clear()
            self._policies.pop(key, None)
            return emitted
        policy.compacted(row)
        if due.row:
            policy.row_published()
        if due.total:
            policy.total_told()
        store.save(pack([_VERSION, policy.pack(), packed_row]))
        return emitted


def _unpack(packed: bytes | None) -> tuple[bytes | None, bytes | None]:
    """Policy and row as they are stored."""
    if packed is None:
        return None, None
    fields: list[Any] = unpack(packed)
    expect_version(fields[0], _VERSION, "an item's state")
    return fields[1], fields[2]
