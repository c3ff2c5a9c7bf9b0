"""From two states of a customer's ledger to the messages that bring the items from one to the other."""

from collections.abc import Sequence
from typing import cast

from state.similar.bought import bought_changes
from state.similar.ledger import Bought, Viewed
from state.similar.message import FLAGS, PROMPT, write_message
from state.similar.settings import VIEWED_WITH, Relation, SimilarSettings
from state.similar.viewed import viewed_changes


def messages(
    relation: Relation,
    old: Sequence[Viewed] | Sequence[Bought],
    new: Sequence[Viewed] | Sequence[Bought],
    settings: SimilarSettings,
    *,
    prompt: bool = False,
) -> list[tuple[str, bytes]]:
    """The exact difference between what `new` and what `old` contribute, as (item, message); empty if there is none.

    The cost goes with what differs: with the new entries and their pairs if entries were appended, with what left the
    ledger as well if old ones did; any other change recomputes the sessions (the products) it touches. Give an empty
    `new` to take a customer out.

    Args:
        relation: which of the two.
        old: the ledger that the items know of, in event order; () at first.
        new: the ledger that they should know of, in event order.
        settings: must be those with which `old` was sent.
        prompt: the items publish at once, however little this changes them.
    """
    if relation == VIEWED_WITH:
        rows = viewed_changes(cast("Sequence[Viewed]", old), cast("Sequence[Viewed]", new), settings)
    else:
        rows = bought_changes(cast("Sequence[Bought]", old), cast("Sequence[Bought]", new), settings)
    if prompt:
        for fields in rows.values():
            fields[FLAGS] |= PROMPT
    return [(item, write_message(fields)) for item, fields in rows.items()]
