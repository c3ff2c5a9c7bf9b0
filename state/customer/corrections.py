"""What has to be said when late events show that changes already published were not true.

Nothing is overwritten in silence: each untrue record is named by a new one. Per segment the published changes are held
against the true ones:

    published   entered@3              left@9
    true             entered@5         left@9
    said now         entered@5 (supersedes entered@3), then left@9 again (supersedes left@9)

The last line of the example restates what stays true, so that a subscriber who simply applies records in order ends
with the exact memberships.
"""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schemas.changes import ENTERED, LEFT


class Turn(Struct, frozen=True, gc=False):
    """A customer's turn into or out of a segment. `change_id` once it has been published."""

    segment: str
    entered: bool
    at_ms: int
    since_ms: int
    change_id: str = ""
    supersedes: str = ""
    before: tuple[object, ...] = ()
    after: tuple[object, ...] = ()
    cause: tuple[str, str | None] = ("time", None)
    reign: Any = None
    """The `Reign` that was in force."""

    @property
    def change(self) -> str:
        return ENTERED if self.entered else LEFT


Cause = tuple[str, str | None]
"""(kind, event id): see schemas/changes.py."""


def corrections(
    published: list[Turn], true: list[Turn], cause: Cause, reign: Any = None
) -> tuple[list[Turn], list[Turn]]:
    """Hold what was published against what is true, both in time order and over the same span of time.

    Args:
        published: what was said of this span.
        true: what is so.
        cause: of what is taken back or said again, which nothing in `true` accounts for.
        reign: the rules that made it untrue, if it was them; else each is put down to the rules of its time.

    Returns:
        (say, stand): the turns to publish now, in order; and what then stands as published, in time order, in which
        turns that were said already keep their `change_id` and those of `say` still have none.
    """
    say: list[Turn] = []
    stand: list[Turn] = []
    for segment in dict.fromkeys(turn.segment for turn in [*published, *true]):
        old = [turn for turn in published if turn.segment == segment]
        new = [turn for turn in true if turn.segment == segment]
        said, standing = _correct_segment(old, new, cause, reign)
        say += said
        stand += standing
    stand.sort(key=lambda turn: turn.at_ms)
    return say, stand


def _correct_segment(old: list[Turn], new: list[Turn], cause: Cause, reign: Any) -> tuple[list[Turn], list[Turn]]:
    known = {_key(turn) for turn in old}
    wanted = {_key(turn) for turn in new}
    untrue = [turn for turn in old if _key(turn) not in wanted]
    fresh = [turn for turn in new if _key(turn) not in known]
    if not untrue and not fresh:
        return [], old
    spare = {way: [turn for turn in untrue if turn.entered is way] for way in (True, False)}
    replacing = [
        replace(turn, supersedes=spare[turn.entered].pop(0).change_id if spare[turn.entered] else "") for turn in fresh
    ]
    taken_back = sorted([*spare[True], *spare[False]], key=lambda turn: turn.at_ms, reverse=True)
    say = [_undo(turn, cause, reign) for turn in taken_back] + replacing
    stands = {_key(turn): turn for turn in (*old, *replacing)}
    standing = [stands[_key(turn)] for turn in new]  # as lived: within a millisecond an erasure comes before an entry
    if standing and standing[-1].change_id and not _leaves_right(say[-1], standing[-1]):
        newest = standing[-1]
        again = replace(newest, supersedes=newest.change_id, change_id="", cause=cause, reign=reign or newest.reign)
        standing[-1] = again
        say.append(again)
    return say, standing


def _key(turn: Turn) -> tuple[int, bool, int]:
    """What makes two turns of one segment the same."""
    return turn.at_ms, turn.entered, turn.since_ms


def _leaves_right(said: Turn, newest: Turn) -> bool:
    """Whether a subscriber who heard `said` last has what the newest true turn says."""
    return said.entered == newest.entered and (not said.entered or said.since_ms == newest.since_ms)


def _undo(turn: Turn, cause: Cause, reign: Any) -> Turn:
    """Take a turn back. To undo a leaving is to be in since the old entry again."""
    at_ms = turn.at_ms if turn.entered else turn.since_ms
    undone = replace(turn, entered=not turn.entered, at_ms=at_ms, supersedes=turn.change_id, change_id="", cause=cause)
    return replace(undone, reign=reign or turn.reign)
