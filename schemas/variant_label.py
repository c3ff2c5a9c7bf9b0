"""What a recommendation's `variant` says: which arm of which experiments it was made by.

    blend=seed@2/50:50,layout=wide@1/10:90

An experiment, the variant of it, and behind the `@`, if whoever assigned it tells, the variant's place among the shares
that were in force. With the shares beside it, an outcome says itself how probable it was: nobody has to know when the
shares of an experiment were changed to tell whether its variants got theirs, or to compare like with like.

A label without `=` is a variant of the experiment "default". What does not fit is no label, and counts for no
experiment; it is no error, since a shop may have used the field for something else.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

DEFAULT_EXPERIMENT: Final = "default"
HOLDOUT: Final = "holdout"
"""The name under which the holdout is counted, as if it were an experiment."""
MOST_ARMS: Final = 16
"""In one label; more make it none."""
MOST_CHARACTERS: Final = 2_000
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""Of an experiment."""
VARIANT: Final = r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}"
"""Of a variant; one of several factors has the name of a level of each, with a + in between."""
_ARM = re.compile(rf"(?:({NAME})=)?({VARIANT})(?:@(\d{{1,3}})/([1-9]\d{{0,8}}(?::[1-9]\d{{0,8}}){{0,99}}))?")


class Arm(NamedTuple):
    """One variant of one experiment."""

    experiment: str
    variant: str
    place: int = 0
    """The variant's place in `shares`, from 1; 0: unknown."""
    shares: str = ""
    """Whole numbers between colons, one for each variant; "": unknown."""

    @property
    def parts(self) -> tuple[int, ...]:
        """The shares as numbers."""
        return parts_of(self.shares)


def parts_of(shares: str) -> tuple[int, ...]:
    """Shares as a label says them, as numbers; none if they are unknown."""
    return tuple(map(int, shares.split(":"))) if shares else ()


def label_of(arms: Iterable[Arm]) -> str | None:
    """What to write into `variant`; None: nothing."""
    return ",".join(_written(arm) for arm in arms) or None


def _written(arm: Arm) -> str:
    whence = f"@{arm.place}/{arm.shares}" if arm.place else ""
    return f"{arm.experiment}={arm.variant}{whence}"


def arms_of(label: str) -> tuple[Arm, ...]:
    """What a label says, of each experiment once; nothing if it is none."""
    return _arms_of(label) if len(label) <= MOST_CHARACTERS else ()


@lru_cache(maxsize=4_096)
def _arms_of(label: str) -> tuple[Arm, ...]:
    arms: dict[str, Arm] = {}
    for part in label.split(","):
        match = _ARM.fullmatch(part)
        if match is None or len(arms) >= MOST_ARMS:
            return ()
        experiment, variant, place, shares = match.groups()
        arm = Arm(experiment or DEFAULT_EXPERIMENT, variant, int(place or 0), shares or "")
        if place is not None and not 1 <= arm.place <= len(arm.parts):
            return ()
        arms.setdefault(arm.experiment, arm)
    return tuple(arms.values())
