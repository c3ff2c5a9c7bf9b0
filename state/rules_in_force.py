"""Which rules are in force by the clock of a live job, for who looks at the job from outside.

Customers have this from their book (state/customer/book.py), each at a time of its own; here it is told once for the
job. The order of publication is the same, and so is what comes of it: a record's rules are in force from its time on,
or from now where that has passed, and replace what was published for that time or a later one; and the rules of another
submission count as published at its start.
"""

from schemas.control import Control
from schemas.rejects import Rejected
from schemas.settings import Settings
from state.customer.book import IDS_KEPT, check_control
from state.customer.calendar import ALWAYS_MS, REIGNS_MAX
from state.customer.logic import PLACE_END, REFUSED
from state.packing import pack, unpack
from state.rules.ruleset import parse_rules

VERSION = 1


class RulesInForce:
    """State: names of records, and (from_ms, version) of the rules in force and of those to come."""

    def __init__(self, settings: Settings, submitted: str, packed: bytes | None = None) -> None:
        """`submitted`: version of the rules that the job was submitted with; `packed`: the state of a job before."""
        self._settings, self._submitted = settings, submitted
        self._ids: list[str] = []
        self._known_ms = ALWAYS_MS  # event time had come so far
        self._reigns: list[tuple[int, str]] = [(ALWAYS_MS, submitted)]
        if packed is not None:
            version, before, self._ids, self._known_ms, reigns = unpack(packed)
            if version != VERSION:
                raise ValueError(f"the rules in force were written by a newer program (version {version})")
            self._reigns = [(from_ms, rules) for from_ms, rules in reigns]
            if before != submitted:
                self._publish(submitted, None)

    def packed(self) -> bytes:
        """The state."""
        return pack((VERSION, self._submitted, self._ids, self._known_ms, self._reigns))

    def on_record(self, payload: bytes, now_ms: int) -> None:
        """Take note of a control record: place, PLACE_END, raw bytes. What will be refused does nothing."""
        place, _, raw = payload.partition(PLACE_END)
        control = None if REFUSED in place else self._checked(raw)
        if control is None or control.control_id in self._ids:
            return
        self._ids = [*self._ids[1 - IDS_KEPT :], control.control_id]
        self._known_ms = max(self._known_ms, now_ms)
        if control.rules is not None:
            self._publish(parse_rules(control.rules, "rules").version, control.effective_ms)

    def version(self, time_ms: int) -> str:
        """Of the rules in force at a time that is not before the newest that was told."""
        return next(version for from_ms, version in reversed(self._reigns) if from_ms <= max(time_ms, ALWAYS_MS))

    def _checked(self, raw: bytes) -> Control | None:
        try:
            return check_control(raw, self._settings)
        except Rejected:  # it goes on to where that is said
            return None

    def _publish(self, version: str, effective_ms: int | None) -> None:
        from_ms = max(self._known_ms, effective_ms or 0)
        # of those that have begun, only the last one has a say
        begun = [one for one in self._reigns if one[0] <= self._known_ms]
        coming = [one for one in self._reigns if self._known_ms < one[0] < from_ms]
        kept = [(ALWAYS_MS, begun[-1][1]), *coming, (from_ms, version)]
        over = max(0, len(kept) - REIGNS_MAX)
        self._reigns = [(ALWAYS_MS, kept[over][1]), *kept[over + 1 :]]
