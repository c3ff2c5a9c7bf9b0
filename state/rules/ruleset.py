"""A rule set ready to run: loaded, checked, compiled, and labelled with a version."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from state.rules import tree
from state.rules.atoms import Atom, Bearing, atoms_of, bearings_of
from state.rules.codegen import Rule, StayStep, Step, compile_rules
from state.rules.division import Remainder, remainder_of
from state.rules.document import Document, Segment, read_document
from state.rules.entries import Entry, entries_of
from state.rules.features import FEATURES
from state.rules.files import read_text
from state.rules.numbered import Numbered

DEFAULT_RULES: Final = Path(__file__).with_name("default.toml")
WAITING_REASON: Final = "waiting for the population"


@dataclass(frozen=True, eq=False)
class RuleSet(Numbered):
    """Compiled rules. Bit i of a membership mask stands for `names[i]`; feature values are aligned with `reads`."""

    text: str = field(repr=False)
    """The file's text; a rule set pickles as this and is compiled anew."""
    source: str
    name: str | None
    version: str
    """12 hex digits over the content: the same for files that differ only in comments, spacing or order."""
    segments: tuple[Segment, ...] = field(repr=False)
    """All segments in the file's order, waiting ones included."""
    names: tuple[str, ...]
    """Segments that do not wait, in the file's order."""
    reads: tuple[str, ...]
    """Features that these segments read, in the registry's order."""
    step: Step = field(repr=False)
    """step(values, mask, free) -> mask. `values` are aligned with `reads` (None: absent); a member whose bit is not in
    `free` cannot leave."""
    stay_step: StayStep = field(repr=False)
    """The same, giving (mask, members that would leave if they were free) of the segments with a minimum stay."""
    min_stay_ms: tuple[int, ...]
    """Minimum stay of each of `names`; 0: none."""
    reads_of: tuple[tuple[int, ...], ...]
    """For each of `names` the indices into `reads` it depends on, through segment() too."""
    waiting: tuple[tuple[str, str], ...]
    """Segments that are checked but not run here, each with the reason."""
    atoms: tuple[Atom, ...] = field(repr=False)
    """What the mere passing of time can flip."""
    bearings: dict[Atom, Bearing] = field(repr=False)
    """For those atoms whose flip can move anybody: whom; without the outsiders that `entries` look after."""
    entries: tuple[Entry, ...] = field(repr=False)
    """For most segments, when time alone can take somebody in."""
    remainder: Remainder = field(repr=False)
    """The segments that wait, for whoever knows the population."""

    @property
    def known(self) -> frozenset[str]:
        """The names of all segments, waiting ones included: what conditions elsewhere may refer to."""
        return frozenset(segment.name for segment in self.segments)

    def names_in(self, mask: int) -> tuple[str, ...]:
        """The segments of a mask, in the file's order."""
        return tuple(name for bit, name in enumerate(self.names) if mask >> bit & 1)

    def __reduce__(self) -> tuple[Callable[[str, str], "RuleSet"], tuple[str, str]]:
        return parse_rules, (self.text, self.source)


def load_rules(path: Path | None = None) -> RuleSet:
    """Read a rule file; without one, the rules that are shipped.

    Raises:
        RuleError: the file cannot be read, or has faults; all of them are in `problems`.
    """
    path = path or DEFAULT_RULES
    return parse_rules(read_text(path), str(path))


def parse_rules(text: str, source: str = "rules.toml") -> RuleSet:
    """Check and compile the text of a rule file; `source` names it in messages.

    Raises:
        RuleError: the text has faults; all of them are in `problems`.
    """
    document = read_document(text, source)
    ordered = _referred_first(document.segments)
    waiting = _waiting(ordered)
    running = [segment for segment in document.segments if segment.name not in waiting]
    bits = {segment.name: bit for bit, segment in enumerate(running)}
    features = _features_by_segment(ordered)
    used = set().union(*(features[name] for name in bits))
    reads = tuple(name for name in FEATURES if name in used)
    rules = [_rule(segment, bits[segment.name]) for segment in ordered if segment.name in bits]
    compiled = compile_rules(rules, reads)
    decisions = [(rule.bit, rule.enter, rule.leave) for rule in rules]
    entries = entries_of(decisions)
    version = _version(document)
    waiting_names = tuple(segment.name for segment in document.segments if segment.name in waiting)
    return RuleSet(
        text=text,
        source=source,
        name=document.name,
        version=version,
        segments=document.segments,
        names=tuple(bits),
        reads=reads,
        step=compiled.step,
        stay_step=compiled.stay_step,
        min_stay_ms=tuple(segment.minimum_stay_ms for segment in running),
        reads_of=tuple(tuple(i for i, read in enumerate(reads) if read in features[name]) for name in bits),
        waiting=tuple((name, WAITING_REASON) for name in waiting_names),
        atoms=atoms_of(condition for segment in running for condition in segment.conditions),
        bearings=bearings_of(decisions, known_entries=sum(1 << entry.bit for entry in entries)),
        entries=entries,
        remainder=remainder_of(version, ordered, waiting, waiting_names),
    )


def _rule(segment: Segment, bit: int) -> Rule:
    leave = None if segment.leave is None else segment.leave.tree
    return Rule(bit, segment.name, segment.enter.tree, leave, stays=segment.minimum_stay_ms > 0)


def _referred_first(segments: tuple[Segment, ...]) -> list[Segment]:
    """Segments so that each stands after those it refers to; there are no circles."""
    by_name = {segment.name: segment for segment in segments}
    ordered: dict[str, Segment] = {}

    def place(segment: Segment) -> None:
        if segment.name not in ordered:
            for name in segment.refers_to:
                place(by_name[name])
            ordered[segment.name] = segment

    for segment in segments:
        place(segment)
    return list(ordered.values())


def _waiting(ordered: Iterable[Segment]) -> set[str]:
    waiting: set[str] = set()
    for segment in ordered:
        asks = any(tree.asks_population(condition) for condition in segment.conditions)
        if asks or not waiting.isdisjoint(segment.refers_to):
            waiting.add(segment.name)
    return waiting


def _features_by_segment(ordered: Iterable[Segment]) -> dict[str, set[str]]:
    """The features each segment depends on, its own and those of the segments it refers to."""
    features: dict[str, set[str]] = {}
    for segment in ordered:
        own = {spec.name for condition in segment.conditions for spec in tree.features_of(condition)}
        features[segment.name] = own.union(*(features[name] for name in segment.refers_to))
    return features


def _version(document: Document) -> str:
    content = sorted(
        (s.name, s.description, s.enter.canonical, s.leave.canonical if s.leave else None, s.minimum_stay_ms)
        for s in document.segments
    )
    canonical = json.dumps([document.name, content], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
