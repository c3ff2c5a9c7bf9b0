"""What a stream of segment changes, with its corrections, says in the end."""

from collections.abc import Iterable
from typing import Any

Record = dict[str, Any]


def effective_changes(records: Iterable[Record]) -> list[Record]:
    """The records that remain true, in order of emission.

    A record that another one supersedes is void. A record that is the opposite of the one it supersedes undoes it and
    says nothing else: void, too. But what supersedes an undoing restores what was undone, so it stands.
    """
    by_id: dict[str, Record] = {}
    void: set[str] = set()
    undoing: set[str] = set()
    for record in records:
        change_id = record["change_id"]
        if change_id in by_id:  # delivered again
            continue
        by_id[change_id] = record
        for target in _targets(record):
            void.add(target)
            if record["change"] != by_id[target]["change"] and target not in undoing:
                void.add(change_id)
                undoing.add(change_id)
    return [record for change_id, record in by_id.items() if change_id not in void]


def replay_into_map(records: Iterable[Record]) -> dict[tuple[str, str], int]:
    """(customer, segment) to since_ms, as a subscriber has it who knows nothing of corrections."""
    members: dict[tuple[str, str], int] = {}
    for record in records:
        key = record["customer_id"], record["segment"]
        if record["change"] == "entered":
            since_ms = record.get("since_ms")
            members[key] = record["at_ms"] if since_ms is None else since_ms
        else:
            members.pop(key, None)
    return members


def _targets(record: Record) -> list[str]:
    """The ids that a record supersedes: none, one, or a list.

    Raises:
        KeyError: later, if one of them was not emitted before.
    """
    named = record.get("supersedes")
    if not named:
        return []
    return [named] if isinstance(named, str) else list(named)
