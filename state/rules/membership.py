"""Which segments a customer is in and since when: one mask, the times, and what a minimum stay holds back.

    minimum_stay = "1d"      enters            condition false      stay over: leaves
                             |-----------------|- - - - - - - - - - |
                             since_ms          held                 since_ms + 1 d = next_forced_ms()

A member leaves at `now_ms` if its rule says so then and now_ms - since_ms >= the minimum stay; a wish to leave that
passed before the stay was over is forgotten. Bound: one time per segment of the rule set.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from state.rules.codegen import StayStep, Step

FORMAT: Final = 1


class Rules(Protocol):
    """What a membership asks of rules: a `RuleSet`, or the `Remainder` of one."""

    @property
    def version(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def bit_of(self) -> Mapping[str, int]: ...
    @property
    def step(self) -> Step: ...
    @property
    def stay_step(self) -> StayStep: ...
    @property
    def stay_mask(self) -> int: ...
    @property
    def stays(self) -> Sequence[tuple[int, int]]: ...


class Change(NamedTuple):
    """A segment entered or left at `at_ms`; for one that was left, `since_ms` is when it had been entered."""

    bit: int
    entered: bool
    at_ms: int
    since_ms: int


class Gone(NamedTuple):
    """A membership in a segment that the rules no longer have: left, with the rules as cause."""

    name: str
    since_ms: int


class Membership:
    """The current segments of one customer under one rule set. Times are epoch milliseconds of event time."""

    __slots__ = ("_forced_ms", "_packed", "_since_ms", "mask", "rules")

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.mask = 0
        """Bit i is set for a member of `rules.names[i]`."""
        self._since_ms: dict[int, int] = {}
        self._forced_ms: int | None = None
        self._packed: list[object] | None = None  # kept while nothing changes: states are saved at every event

    def evaluate(self, values: tuple[object, ...], now_ms: int) -> Sequence[Change]:
        """Apply the rules to the feature values as of `now_ms`; what was entered and left, by bit.

        `values` are aligned with `rules.reads`.
        """
        mask = self.mask
        rules = self.rules
        if mask & rules.stay_mask and (held := self._held(now_ms)):
            new, wanting = rules.stay_step(values, mask, ~held)
            forced_ms = self._earliest_end(wanting) if wanting else None
        else:
            new = rules.step(values, mask, -1)
            forced_ms = None
        if forced_ms != self._forced_ms:
            self._forced_ms = forced_ms
            self._packed = None
        if new == mask:
            return ()
        return self._change_to(new, now_ms)

    def next_forced_ms(self) -> int | None:
        """When the earliest minimum stay ends of a member who wanted to leave at the last evaluation; else None.

        The rules have to be evaluated then, even if no event arrives.
        """
        return self._forced_ms

    def end_all(self, at_ms: int) -> Sequence[Change]:
        """Leave every segment at once, whatever the minimum stays (consent withdrawn, customer erased)."""
        self._forced_ms = None
        return self._change_to(0, at_ms)

    def take_back(self, changes: Sequence[Sequence[Any]]) -> None:
        """Undo the changes of the last `evaluate` or `end_all`: stand again as before it."""
        self._packed = None
        for bit, entered, _, since_ms in changes:
            self.mask ^= 1 << bit
            if entered:
                del self._since_ms[bit]
            else:
                self._since_ms[bit] = since_ms

    def since(self) -> list[tuple[str, int]]:
        """The current segments in the rules' order, each with the time it was entered."""
        names = self.rules.names
        return [(names[bit], since_ms) for bit, since_ms in sorted(self._since_ms.items())]

    def since_ms(self, name: str) -> int | None:
        """When the customer entered a segment; None for one they are not in."""
        bit = self.rules.bit_of.get(name)
        return None if bit is None else self._since_ms.get(bit)

    def copy(self) -> "Membership":
        """An independent copy."""
        twin = Membership(self.rules)
        twin.mask, twin._since_ms, twin._forced_ms = self.mask, self._since_ms.copy(), self._forced_ms
        twin._packed = self._packed
        return twin

    def migrate(self, rules: Rules, back: Sequence[Gone] = ()) -> list[Gone]:
        """Go over to another rule set by the segments' names; memberships it no longer has are given back.

        Kept memberships keep their time. Evaluate afterwards: the new conditions have not been applied yet. `back`:
        what an earlier set did not have, taken along in case that this one does.
        """
        members = [*self.since(), *back]
        self.rules = rules
        self.mask = 0
        self._since_ms = {}
        return self._take(members)

    def to_packed(self) -> list[object]:
        """Plain values: format, rule version, next forced time, then name and time of each membership.

        The list is kept for the next call; the caller must not change it.
        """
        if self._packed is None:
            self._packed = [FORMAT, self.rules.version, self._forced_ms]
            for member in self.since():
                self._packed += member
        return self._packed

    @classmethod
    def from_packed(cls, rules: Rules, packed: Sequence[object]) -> tuple["Membership", list[Gone]]:
        """Read back what was packed, under the same or another rule set; with another one, what is gone with it.

        Raises:
            ValueError: it was packed in a format that is not known, or is damaged.
        """
        if len(packed) < 3 or packed[0] != FORMAT or len(packed) % 2 == 0:
            raise ValueError(f"a packed membership of format {packed[:1]} cannot be read")
        membership = cls(rules)
        forced_ms = packed[2]
        if not isinstance(forced_ms, int | None):
            raise ValueError("a packed membership is damaged: its next forced time is no number")
        members: list[tuple[str, int]] = []
        for name, since_ms in zip(packed[3::2], packed[4::2], strict=True):
            if not isinstance(name, str) or not isinstance(since_ms, int):
                raise ValueError("a packed membership is damaged: its segments are no names with times")
            members.append((name, since_ms))
        gone = membership._take(members)
        membership._forced_ms = forced_ms
        return membership, gone

    @staticmethod
    def packed_version(packed: Sequence[object]) -> str:
        """The version of the rules under which a membership was packed."""
        return str(packed[1])

    def _take(self, members: list[tuple[str, int]]) -> list[Gone]:
        gone: list[Gone] = []
        self._packed = None
        bits = self.rules.bit_of
        for name, since_ms in members:
            bit = bits.get(name)
            if bit is None:
                gone.append(Gone(name, since_ms))
            else:
                self.mask |= 1 << bit
                self._since_ms[bit] = since_ms
        return gone

    def _held(self, now_ms: int) -> int:
        """The memberships whose minimum stay is not over."""
        held = 0
        for bit, stay_ms in self.rules.stays:
            since_ms = self._since_ms.get(bit)
            if since_ms is not None and now_ms - since_ms < stay_ms:
                held |= 1 << bit
        return held

    def _earliest_end(self, wanting: int) -> int:
        return min(self._since_ms[bit] + stay_ms for bit, stay_ms in self.rules.stays if wanting >> bit & 1)

    def _change_to(self, new: int, at_ms: int) -> list[Change]:
        changed = self.mask ^ new
        changes: list[Change] = []
        while changed:
            bit = (changed & -changed).bit_length() - 1
            changed &= changed - 1
            if new >> bit & 1:
                self._since_ms[bit] = at_ms
                changes.append(Change(bit, True, at_ms, at_ms))
            else:
                changes.append(Change(bit, False, at_ms, self._since_ms.pop(bit)))
        self.mask = new
        self._packed = None
        return changes
