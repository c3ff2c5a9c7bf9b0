"""What the control stream has said so far: the calendar of rules, the settings, and how both are kept.

Every subtask keeps the same book, in state that is broadcast. The rule file and the settings that the job was submitted
with count as such a record, too, as of the job's first start with them: so they win over what was published before, and
what is published later wins over them, a restart after a failure changes nothing, and rules are known by their text for
as long as a late event may need them.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from schemas.control import LIVE_SETTINGS, Control, check_settings, decode_control, refused
from schemas.settings import Settings, changed_settings
from state.customer.calendar import ALWAYS_MS, Calendar, Reign
from state.customer.program import Program
from state.packing import pack, unpack
from state.publications import Publications
from state.rules.errors import RuleError
from state.rules.ruleset import RuleSet, parse_rules

VERSION = 1
IDS_KEPT = 1_000
"""Records of the same name are told apart from repetitions among so many newest ones."""
_BOOK = "book"
_RULES = "rules:"
_WATCHED = "watched"
"""There if customers were watched for a population when the book was kept last."""


class View(Protocol):
    """Where a book is kept: small values by name."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, packed: bytes) -> None: ...
    def remove(self, key: str) -> None: ...


class BookVersionError(ValueError):
    """A book of a version that this program does not know."""


class Book:
    """Rules and settings in force, and to come. Without a control stream: those that the job was submitted with."""

    def __init__(self, settings: Settings, rules: RuleSet, *, watching: bool = False) -> None:
        """`watching`: see `Program.of`."""
        self._watching = watching
        self.base = settings
        """Of the submission: records are checked with these, as where they are refused (state/control.py)."""
        self.settings = settings
        self._submitted = rules
        self._changes: dict[str, Any] = {}  # settings that the control stream has changed
        self._ids: list[str] = []
        self._known_ms = ALWAYS_MS  # event time had come so far; a restarted job has no watermark for a moment
        self.calendar = Calendar.of(settings, rules, watching=watching)
        self.publications = Publications()

    def load(self, view: View, watermark_ms: int) -> int | None:
        """Go on where `view` stands, or begin; the time from which on customers have other rules, if they have.

        Where a population has come or gone since, all take up their rules once more: so everybody is looked at, and
        said to those who write profiles from now on.

        Raises:
            BookVersionError: a newer program wrote it.
        """
        self.publications.load(view)
        packed = view.get(_BOOK)
        watched = view.get(_WATCHED) is not None
        if self._watching and not watched:
            view.put(_WATCHED, b"")
        elif watched and not self._watching:
            view.remove(_WATCHED)
        if packed is None:
            self._save(view)
            return None
        parts = unpack(packed)
        if parts[0] != VERSION:
            raise BookVersionError(f"a control book of version {parts[0]}; this program reads version {VERSION}")
        _, submitted, settings, changes, self._ids, self._known_ms, reigns, past = parts
        self._load_reigns(view, reigns, past)
        if settings == self._live_settings():
            self._changes = msgspec.json.decode(changes)
            self.settings = changed_settings(self.base, self._changes)
        from_ms = None
        if submitted != self._submitted.version:
            from_ms = self._publish(self._submitted, None, watermark_ms)
        if from_ms is None and watched != self._watching:
            from_ms = self._publish_again(watermark_ms)
        if from_ms is not None or settings != self._live_settings():
            self._save(view)
        return from_ms

    def _load_reigns(self, view: View, *kept: list[Any]) -> None:
        programs: dict[str, Program] = {}
        for version in {version for rows in kept for _, _, version in rows}:
            text = view.get(_RULES + version)
            if text is None:
                raise LookupError(f"the text of rules {version} is missing")
            rules = parse_rules(text.decode(), "rules")
            programs[version] = Program.of(self.base, rules, watching=self._watching)
        self.calendar.restore(*([Reign(number, at, programs[name]) for number, at, name in rows] for rows in kept))

    def known_rules(self) -> set[RuleSet]:
        """All that are in force for somebody, or will be."""
        return {one.program.rules for one in (*self.calendar.reigns, *self.calendar.past)}

    def reigns_ms(self) -> list[int]:
        """When the newest rules of those that have begun came into force, unless always, and when those to come will.

        They have begun by the newest time that is known: that of the last publication.
        """
        times_ms = [reign.from_ms for reign in self.calendar.reigns]
        begun = [from_ms for from_ms in times_ms if from_ms <= self._known_ms]
        return [from_ms for from_ms in (*begun[-1:], *times_ms[len(begun) :]) if from_ms != ALWAYS_MS]

    def take(self, control: Control, view: View, watermark_ms: int) -> int | None:
        """Enter a record that was checked; the time at which all customers have something to do, if they have."""
        if control.control_id in self._ids:
            return None
        self._ids = [*self._ids[1 - IDS_KEPT :], control.control_id]
        from_ms = None
        if control.settings is not None:
            self.settings = check_settings(self.settings, control.settings)
            self._changes |= control.settings
        elif control.rules is not None:
            from_ms = self._publish(parse_rules(control.rules, "rules"), control.effective_ms, watermark_ms)
        elif control.kind == "publish":
            from_ms = max(control.as_of_ms or 0, watermark_ms + 1)
            self.publications.add(from_ms)
        # whoever was ahead of the watermark as rules were published took them up so much later, at most
        ahead_ms = self.settings.allowed_lateness_ms + self.settings.max_future_ms
        self.calendar.forget(watermark_ms - ahead_ms)
        self._save(view)
        return from_ms

    def _publish(self, rules: RuleSet, effective_ms: int | None, watermark_ms: int) -> int | None:
        newest = self.calendar.newest
        self._known_ms = max(self._known_ms, watermark_ms)
        from_ms = max(self._known_ms, effective_ms or 0)
        if newest.program.rules.version == rules.version and newest.from_ms <= from_ms:
            return None
        known = self.calendar.program(rules.version)
        return self.calendar.add(known or Program.of(self.base, rules, watching=self._watching), from_ms).from_ms

    def _publish_again(self, watermark_ms: int) -> int:
        """Have everybody take up anew what is in force, and what was to come after it."""
        self._known_ms = from_ms = max(self._known_ms, watermark_ms)
        reigns = self.calendar.reigns
        current = max(at for at, reign in enumerate(reigns) if reign.from_ms <= from_ms)
        for reign in (reigns[current]._replace(from_ms=from_ms), *reigns[current + 1 :]):
            self.calendar.add(reign.program, reign.from_ms)
        return from_ms

    def _live_settings(self) -> bytes:
        return msgspec.json.encode({name: getattr(self.base, name) for name in LIVE_SETTINGS}, order="sorted")

    def _save(self, view: View) -> None:
        calendar = self.calendar
        texts = {one.program.rules.version: one.program.rules.text for one in (*calendar.reigns, *calendar.past)}
        before = view.get(_BOOK)
        known = set() if before is None else {row[2] for rows in unpack(before)[6:] for row in rows}
        for version in known - texts.keys():
            view.remove(_RULES + version)
        for version in texts.keys() - known:
            view.put(_RULES + version, texts[version].encode())
        changes = msgspec.json.encode(self._changes)
        parts = [VERSION, self._submitted.version, self._live_settings(), changes, self._ids, self._known_ms]
        view.put(_BOOK, pack([*parts, _rows(calendar.reigns), _rows(calendar.past)]))


def _rows(reigns: Iterable[Reign]) -> list[tuple[int, int, str]]:
    return [(number, from_ms, program.rules.version) for number, from_ms, program in reigns]


def check_control(raw: bytes, settings: Settings) -> Control:
    """A control record that can take effect.

    Raises:
        Rejected: it cannot; the detail says why, for rules with line and column.
    """
    control = decode_control(raw, settings.max_record_bytes)
    if control.settings is not None:
        check_settings(settings, control.settings)
    elif control.rules is not None:
        try:
            parse_rules(control.rules, "rules")
        except RuleError as error:
            raise refused("; ".join(map(str, error.problems))) from error
    return control
