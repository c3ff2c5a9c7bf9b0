"""The population operator's logic, one for the whole job: parcels of all places in, views and model records out.

An interval is over when the operator's clock has come to its end: by then all places have sent what they gathered. If
the clock has passed TOGETHER_MS at once, or BEHIND_MS of it and more than two intervals, as where history is replayed,
those in it are learned from as one.

State: the parcels of an interval, what `PopulationLogic` remembers, and the questions of the newest rules. An interval
that ended before the newest one, as the first after a restart may, is learned from with it: time goes forward.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from schemas.control import decode_control
from schemas.settings import MINUTE_MS
from state.channels import Channel, Output
from state.packing import pack
from state.population.gather import merged
from state.population.gathering import Parcel
from state.population.population import PopulationLogic
from state.population.questions import Key, with_scores
from state.population.refusal import unpack_versioned
from state.population.rules_kept import keep
from state.population.scales import Number
from state.population.settings import GATHER_BOUNDED_MS, PopulationSettings
from state.population.stores import MergerStore
from state.population.telling import event_record, model_writes
from state.rules.ruleset import RuleSet, parse_rules
from state.tally import MergerTally

VERSION: Final = 1
TOGETHER_MS: Final = GATHER_BOUNDED_MS
BEHIND_MS: Final = 20 * MINUTE_MS


class MergerLogic:
    """Keeps the population in memory, and its bytes in the store."""

    def __init__(self, settings: PopulationSettings, rules: RuleSet, *, live: bool) -> None:
        """`rules`: of the submission. `live`: otherwise nobody reads the state after the run, and none is kept."""
        self._settings, self._rules, self._live = settings, rules, live
        self._population: PopulationLogic | None = None
        self.tally = MergerTally()
        self._asked: dict[str, dict[Key, Sequence[Number]]] = {}
        """By version of the rules, the oldest first."""
        self._newest_ms = -1  # end of the newest interval that was learned from

    def on_parcel(self, payload: bytes, watermark_ms: int, store: MergerStore) -> int:
        """Keep what a place has gathered; the event time at which to call `on_time`."""
        store.append(payload)
        return max(Parcel.unpacked(payload).at_ms, watermark_ms + 1)

    def on_control(self, raw: bytes, store: MergerStore) -> None:
        """A control record that takes effect: rules may have other questions."""
        control = decode_control(raw, len(raw))
        if control.rules is not None:
            population = self._opened(store)
            self._ask(parse_rules(control.rules))
            population.ask(self._questions())
            self._save(store)

    def on_time(self, time_ms: int, watermark_ms: int, store: MergerStore) -> list[Output]:
        """Learn from all intervals that have ended by the watermark, which is not before `time_ms`."""
        now_ms = max(time_ms, watermark_ms)
        parcels = sorted(map(Parcel.unpacked, store.pending()), key=attrgetter("at_ms"))
        due = [one for one in parcels if one.at_ms <= now_ms]
        if not due:
            return []
        store.drop_pending()
        for parcel in parcels[len(due) :]:
            store.append(parcel.packed())
        population = self._opened(store)
        due = [one._replace(at_ms=max(one.at_ms, self._newest_ms)) for one in _together(due, now_ms)]
        outputs: list[Output] = []
        for at_ms, ones in groupby(due, key=attrgetter("at_ms")):
            self._newest_ms = at_ms
            clusters = self._settings.clusters
            view, events = population.on_interval(merged(one.opened(clusters) for one in ones), at_ms)
            if view is not None:
                outputs.append((Channel.VIEW, "", view.packed()))
                outputs += [(Channel.REDIS, "models", write) for write in model_writes(view)]
            outputs += [(Channel.MODEL, event.kind, event_record(event, view)) for event in events]
            self.tally.intervals += 1
            for event in events:
                self.tally.happened(event.kind)
        self._save(store)
        return outputs

    def _opened(self, store: MergerStore) -> PopulationLogic:
        if self._population is None:
            packed, submitted, asked = store.load(), None, []
            if packed is not None:
                packed, submitted, self._newest_ms, asked = unpack_versioned(
                    packed, VERSION, "the merger of the population"
                )
            self._asked = {version: _questions(rows) for version, rows in asked}
            if submitted != self._rules.version:  # else rules that came after it are newer still
                self._ask(self._rules)
            self._population = PopulationLogic(self._settings, self._questions(), packed)
        return self._population

    def _ask(self, rules: RuleSet) -> None:
        """Questions of these rules, as the newest."""
        asked: dict[Key, Sequence[Number]] = {**with_scores(rules.remainder.asks)}
        keep(self._asked, rules.version, asked)

    def _questions(self) -> dict[Key, tuple[Number, ...]]:
        points: dict[Key, set[Number]] = {}
        for questions in self._asked.values():
            for key, wanted in questions.items():
                points.setdefault(key, set()).update(wanted)
        return {key: tuple(sorted(points[key])) for key in sorted(points)}

    def _save(self, store: MergerStore) -> None:
        if self._live and self._population is not None:
            asked = [(version, _rows(questions)) for version, questions in self._asked.items()]
            store.save(pack([VERSION, self._population.packed(), self._rules.version, self._newest_ms, asked]))


def _together(parcels: Sequence[Parcel], now_ms: int) -> list[Parcel]:
    """Parcels in order of time, those of each span that has been passed at once as of the newest one of them."""
    found: list[Parcel] = []
    for span, group in groupby(parcels, key=lambda one: -(-one.at_ms // TOGETHER_MS)):
        ones = list(group)
        newest_ms, intervals = ones[-1].at_ms, {one.at_ms for one in ones}
        if span * TOGETHER_MS <= now_ms or (newest_ms - ones[0].at_ms >= BEHIND_MS and len(intervals) > 2):
            ones = [one._replace(at_ms=newest_ms) for one in ones]
        found += ones
    return found


def _rows(questions: dict[Key, Sequence[Number]]) -> list[Any]:
    return [(feature, positive, points) for (feature, positive), points in questions.items()]


def _questions(rows: Iterable[Sequence[Any]]) -> dict[Key, Sequence[Number]]:
    return {(feature, positive): tuple(points) for feature, positive, points in rows}
