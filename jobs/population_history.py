"""What became of the population, as models.jsonl and segment-changes.jsonl of a run tell it."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import msgspec

from jobs.store import StoreError
from schemas.settings import DAY_MS

T = TypeVar("T")
WITHIN_MS = DAY_MS
"""Who enters a segment later than this after leaving another one is not said to have gone over."""


class Happened(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that was said of the population, but for views: born, died, split, merged or drift."""

    at_ms: int
    kind: str
    cluster_id: int | None = None
    other_id: int | None = None
    features: dict[str, float | None] | None = None
    """Of a drift of features: those that moved, with their PSI; None: nobody has the feature any longer."""
    habits: dict[str, tuple[float, float]] | None = None
    """Of a drift of habits: by axis the correlation of what customers do with what they did, before and now."""
    kl: dict[str, float | None] | None = None
    """Of a drift of features: of those that moved, the Kullback-Leibler divergence of now from before, in nats."""


class Sizes(NamedTuple):
    """The clusters' shares from a time on."""

    at_ms: int
    shares: dict[int, float]
    """By cluster id."""


class History(NamedTuple):
    """What became of the clusters, oldest first. Bound: what a file has of views that differ in sizes."""

    happened: list[Happened]
    sizes: list[Sizes]
    """Views with other shares than the view before."""
    names: dict[int, str]
    """The newest name of every cluster that there ever was."""
    until_ms: int
    """Of the newest record."""

    def shares_at(self, at_ms: int) -> dict[int, float]:
        """The shares as of a time; none before there were clusters."""
        at = bisect_left(self.sizes, at_ms + 1, key=lambda one: one.at_ms)
        return self.sizes[at - 1].shares if at else {}


class Transitions(NamedTuple):
    """Where customers went that left a segment."""

    segments: list[str]
    exits: list[int]
    """By segment: how often somebody left it."""
    entered: list[list[int]]
    """Rows: the segment that was left. Columns: the one that was entered next, within WITHIN_MS."""
    nowhere: list[int]
    """By segment left: how often none was."""


class _Cluster(msgspec.Struct, frozen=True):
    id: int
    name: str
    share: float


class _Model(Happened, frozen=True):
    clusters: tuple[_Cluster, ...] = ()


class _Change(msgspec.Struct, frozen=True, gc=False):
    change_id: str
    customer_id: str
    segment: str
    change: Literal["entered", "left"]
    at_ms: int
    supersedes: str | None = None


def history(models: Path) -> History:
    """What a file of records of the `models` topic tells.

    Raises:
        StoreError: a line is no such record.
    """
    happened: list[Happened] = []
    sizes: list[Sizes] = []
    names: dict[int, str] = {}
    until_ms = 0
    for record in _records(models, _Model, "what a run leaves in models.jsonl"):
        until_ms = max(until_ms, record.at_ms)
        if record.kind != "view":
            of = record.at_ms, record.kind, record.cluster_id, record.other_id, record.features, record.habits
            happened.append(Happened(*of, record.kl))
            continue
        shares = {one.id: one.share for one in record.clusters}
        names.update((one.id, one.name) for one in record.clusters)
        if shares and (not sizes or sizes[-1].shares != shares):
            sizes.append(Sizes(record.at_ms, shares))
    return History(happened, sizes, names, until_ms)


def transitions(changes: Path) -> Transitions:
    """Who left a segment, and which one the same customer entered next, if within WITHIN_MS (also the same one again).

    What was corrected later is counted as it was in the end. Several that are entered in the same millisecond all
    count. All changes are held in memory, some 300 bytes each.

    Raises:
        StoreError: a line is no segment change.
    """
    exits: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    entries: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for change in _in_the_end(changes):
        turns = entries if change.change == "entered" else exits
        turns[change.customer_id].append((change.at_ms, change.segment))
    left: Counter[str] = Counter()
    nowhere: Counter[str] = Counter()
    went: Counter[tuple[str, str]] = Counter()
    for customer, turns_out in exits.items():
        turns_in = sorted(entries[customer])
        for at_ms, segment in turns_out:
            left[segment] += 1
            following = _next(turns_in, at_ms, segment)
            nowhere[segment] += not following
            went.update((segment, other) for other in following)
    segments = sorted({*left, *(name for turns_in in entries.values() for _, name in turns_in)})
    rows = [[went[one, other] for other in segments] for one in segments]
    return Transitions(segments, [left[one] for one in segments], rows, [nowhere[one] for one in segments])


def _in_the_end(changes: Path) -> Iterator[_Change]:
    """The changes that are true when all is said (docs/outputs.md, "Corrections")."""
    true: dict[str, _Change] = {}
    for change in _records(changes, _Change, "what a run leaves in segment-changes.jsonl"):
        before = None if change.supersedes is None else true.pop(change.supersedes, None)
        if before is None or before.change == change.change:
            true[change.change_id] = change
    yield from true.values()


def _next(turns_in: list[tuple[int, str]], left_ms: int, left: str) -> list[str]:
    """What was entered first from `left_ms` on; one that began in the millisecond in which it ended is no return."""
    found: list[str] = []
    first_ms = left_ms + WITHIN_MS
    for at_ms, segment in turns_in[bisect_left(turns_in, (left_ms, "")) :]:
        if at_ms > first_ms:
            break
        if at_ms > left_ms or segment != left:
            first_ms = at_ms
            found.append(segment)
    return found


def _records(path: Path, kind: type[T], what: str) -> Iterator[T]:
    decode = msgspec.json.Decoder(kind).decode
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record = decode(line)
            except msgspec.DecodeError as error:
                raise StoreError(f"{path}, line {number}: not {what}: {error}") from None
            yield record
