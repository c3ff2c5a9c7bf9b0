"""What the sums of an experiment know of one customer: told whole, in place of what was told before."""

from typing import Any, Final, NamedTuple

from schemas.variant_label import Arm
from state.experiments.sums import Outcome
from state.packing import pack, unpack

RELATION: Final = "experiment"
"""Stands before an experiment's name in the key of its messages."""


def message_key(experiment: str) -> str:
    """Where messages about an experiment go."""
    return f"{RELATION}|{experiment}"


class Told(NamedTuple):
    """One customer in one experiment."""

    arm: Arm
    segments: tuple[str, ...]
    crossed: bool
    outcome: Outcome

    def packed(self) -> bytes:
        return pack([*self.arm, self.segments, self.crossed, *self.outcome])

    @classmethod
    def unpacked(cls, packed: bytes) -> "Told":
        experiment, variant, place, shares, segments, crossed, *outcome = unpack(packed)
        return cls(Arm(experiment, variant, place, shares), tuple(segments), crossed, Outcome(*outcome))


def told_name(packed: bytes) -> str:
    """The experiment that a packed `Told` is about."""
    return str(unpack(packed)[0])


def message(old: bytes | None, new: bytes | None) -> bytes:
    """That a customer counts as `new` from now on, and no more as `old`; None: not at all."""
    return pack([old, new])


def read_message(packed: bytes) -> tuple[Told | None, Told | None]:
    """Old and new of a message."""
    parts: list[Any] = unpack(packed)
    old, new = (None if one is None else Told.unpacked(one) for one in parts)
    return old, new
