"""What one customer adds to the counts of all: remembered as buckets, so that it can be taken out to the last count.

::

    customer's last contribution   {orders_total: 3, revenue_total_cents: 2310}          packed, beside the customer
    new snapshot                   {orders_total: 4, revenue_total_cents: 2377}
    what travels to the merger     orders_total: 3 -1, 4 +1; revenue_total_cents: 2310 -1, 2377 +1

Differences are integers that add up: they may be merged on their way in any grouping and order. Ages and engagement
contribute the same bucket for as long as nothing happens (`scales.py`), so passing time alone sends nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from state.packing import pack
from state.population.refusal import PopulationError, unpack_versioned
from state.population.scales import Number, scale_of
from state.population.sketch import QuantileSketch

VERSION: Final = 1


class Deltas:
    """Changes of counts, by feature and bucket; none of them 0.

    Bound: two for each feature and each customer that was merged in, and never more than the scales have buckets.
    """

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes: dict[str, dict[int, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._changes)

    def __iter__(self) -> Iterator[tuple[str, dict[int, int]]]:
        """By feature, in order: the changes by bucket."""
        return iter(sorted(self._changes.items()))

    def note(self, feature: str, bucket: int, by: int) -> None:
        """One more change."""
        changes = self._changes.setdefault(feature, {})
        changed = changes.get(bucket, 0) + by
        if changed:
            changes[bucket] = changed
            return
        changes.pop(bucket, None)
        if not changes:
            del self._changes[feature]

    def merge(self, other: "Deltas") -> None:
        """All changes of another one."""
        for feature, changes in other:
            for bucket, by in changes.items():
                self.note(feature, bucket, by)

    def packed(self) -> bytes:
        """Versioned bytes, the same for the same changes."""
        return pack([VERSION, [(feature, *zip(*sorted(changes.items()), strict=True)) for feature, changes in self]])

    @classmethod
    def unpacked(cls, packed: bytes) -> "Deltas":
        """The changes again.

        Raises:
            PopulationError: the bytes are none of changes, or of a newer program's.
        """
        fields: list[Any] = unpack_versioned(packed, VERSION, "changes of counts")
        deltas = cls()
        try:
            for feature, buckets, changes in fields[0]:
                for bucket, by in zip(buckets, changes, strict=True):
                    deltas.note(feature, bucket, by)
        except (IndexError, TypeError, ValueError) as error:
            raise PopulationError(f"changes of counts cannot be read: {error}") from error
        return deltas


def contribute(
    old: bytes | None, values: Mapping[str, Number | None] | None, at_ms: int, features: Sequence[str]
) -> tuple[Deltas, bytes | None]:
    """From what a customer contributed to what they contribute now: the difference, and the new contribution.

    Bound: the names of the features and 1 to 9 bytes each.

    Args:
        old: the packed contribution that was counted last; None: not counted so far.
        values: the snapshot; a feature that is missing or None does not count. None: the customer is erased.
        at_ms: as of when the snapshot is.
        features: which are counted; what is not among them any longer is taken out.

    Raises:
        PopulationError: a value cannot be counted (NaN, infinite, a text), a name is no numeric feature, or `old`
            cannot be read. Nothing has been changed then.
    """
    before = _unpacked(old) if old is not None else {}
    after: dict[str, int] = {}
    if values is not None:
        for feature in sorted(features):
            value = values.get(feature)
            if value is not None:
                after[feature] = scale_of(feature).bucket(value, at_ms)
    deltas = Deltas()
    if before == after:
        return deltas, old if after else None
    for feature, bucket in before.items():
        if after.get(feature) != bucket:
            deltas.note(feature, bucket, -1)
    for feature, bucket in after.items():
        if before.get(feature) != bucket:
            deltas.note(feature, bucket, 1)
    return deltas, pack([VERSION, after]) if after else None


def _unpacked(packed: bytes) -> dict[str, int]:
    fields = unpack_versioned(packed, VERSION, "a customer's contribution")
    if len(fields) != 1 or not isinstance(fields[0], dict):
        raise PopulationError("a customer's contribution cannot be read")
    return fields[0]


class FeatureSketches:
    """A sketch for each feature: where the differences of all customers are added up.

    Bound: that of `QuantileSketch` for each feature.
    """

    __slots__ = ("_sketches",)

    def __init__(self) -> None:
        self._sketches: dict[str, QuantileSketch] = {}

    def sketch(self, feature: str) -> QuantileSketch:
        """All customers' values of a feature; empty if nobody has one. To be read only.

        Raises:
            PopulationError: it is no numeric feature.
        """
        return self._sketches.get(feature) or QuantileSketch(scale_of(feature))

    def payable(self, deltas: Deltas) -> tuple[Deltas, Deltas]:
        """Differences that can be added up now, and those that take out more than is there yet.

        After a restart at another parallelism, what a customer tells may overtake what they told before.
        """
        now, owed = Deltas(), Deltas()
        for feature, changes in deltas:
            sketch = self.sketch(feature)
            for bucket, by in changes.items():
                missing = min(0, sketch.count(bucket) + by)
                if by - missing:
                    now.note(feature, bucket, by - missing)
                if missing:
                    owed.note(feature, bucket, missing)
        return now, owed

    def apply(self, deltas: Deltas) -> None:
        """Add up differences.

        Raises:
            PopulationError: more would be taken out of a bucket than is in it, and nothing is changed.
        """
        for feature, changes in deltas:
            sketch = self.sketch(feature)
            for bucket, by in changes.items():
                if sketch.count(bucket) + by < 0:
                    raise PopulationError(
                        f"{feature}: {-by} to be taken out of {sketch.count(bucket)} in bucket {bucket}"
                    )
        for feature, changes in deltas:
            sketch = self._sketches[feature] = self.sketch(feature)
            for bucket, by in changes.items():
                sketch.change(bucket, by)
            if not len(sketch):
                del self._sketches[feature]

    def merge(self, other: "FeatureSketches") -> None:
        """Count all that the other one has counted."""
        for feature, sketch in sorted(other._sketches.items()):
            mine = self._sketches.setdefault(feature, QuantileSketch(sketch.scale))
            mine.merge(sketch)

    def packed(self) -> bytes:
        """Versioned bytes, the same for the same values."""
        return pack([VERSION, {name: sketch.packed() for name, sketch in sorted(self._sketches.items())}])

    @classmethod
    def unpacked(cls, packed: bytes) -> "FeatureSketches":
        """The sketches again.

        Raises:
            PopulationError: the bytes are none of sketches, or of a newer program's.
        """
        fields: list[Any] = unpack_versioned(packed, VERSION, "sketches of features")
        found = cls()
        if len(fields) != 1 or not isinstance(fields[0], dict):
            raise PopulationError("sketches of features cannot be read")
        found._sketches = {name: QuantileSketch.unpacked(one) for name, one in fields[0].items()}
        return found
