"""Reading what a run left in Redis: used by `export` and `show`, and an example for readers."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from jobs.runtime.valkey import SNAPSHOT, EmbeddedValkey
from jobs.runtime.workspace import workspace
from operators.redis_connection import RedisTarget
from schemas.keys import Keys, beginning_with
from schemas.profiles import merged, unpack_versioned
from serving.experiments.stored import Stored, unpack_stored

T = TypeVar("T")

_BATCH = 500
_LARGE_BATCH = 16
"""Of values that may have some megabytes each."""


class StoreError(Exception):
    """There is nothing to read from; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Store:
    """Profiles, segments and similar items in one Redis."""

    client: Any
    keys: Keys

    def profile(self, customer_id: str) -> dict[str, Any] | None:
        """A customer's profile of both parts, or None."""
        keys = self.keys.profile(customer_id), self.keys.population(customer_id)
        return merged(*map(unpack_versioned, self.client.mget(*keys)))

    def similar(self, relation: str, item_id: str) -> dict[str, Any] | None:
        """An item's neighbours, or None."""
        return unpack_versioned(self.client.get(self.keys.similar(relation, item_id)))

    def model(self, name: str) -> dict[str, Any] | None:
        """What was learned of all customers together, under one name (state/population/telling.py), or None."""
        return unpack_versioned(self.client.get(self.keys.model(name)))

    def experiment(self, name: str) -> Stored | None:
        """How an experiment stands, or None: also if what is there are no sums that customers can have."""
        return unpack_stored(self.client.get(self.keys.experiment(name)))

    def experiment_names(self) -> list[str]:
        """All that something was shown of, whoever made them up."""
        return sorted(set(self.names(self.keys.experiment(""))))

    def experiments(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, Stored]]:
        """These experiments, or all, by name; without those whose sums no customers can have."""
        for some in batches(sorted(self.experiment_names() if names is None else names), _LARGE_BATCH):
            yield from self._found(self.keys.experiment(""), some, unpack_stored)

    def forget_experiment(self, name: str) -> bool:
        """Remove how it stands; whether it was there."""
        return bool(self.client.delete(self.keys.experiment(name)))

    def members(self, segment: str) -> list[tuple[str, int]]:
        """A segment's members and since when, by id."""
        found = self.client.zrange(self.keys.segment(segment), 0, -1, withscores=True)
        return sorted((member.decode(), int(since_ms)) for member, since_ms in found)

    def segments(self) -> list[str]:
        """Names of the segments that have members."""
        return sorted(self.names(self.keys.segment("")))

    def meta(self) -> dict[str, str]:
        """The `meta` hash."""
        return {name.decode(): value.decode() for name, value in self.client.hgetall(self.keys.meta).items()}

    def customers(self) -> Iterator[str]:
        """Ids that a profile is kept under, in no order; one may come twice, and may have been withdrawn."""
        return self.names(self.keys.profile(""))

    def profiles(self, customers: Iterable[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The profiles of these customers, or all, by customer id."""
        for names in batches(sorted(set(self.customers() if customers is None else customers))):
            starts = self.keys.profile(""), self.keys.population("")
            parts = (self._unpacked(start, names, unpack_versioned) for start in starts)
            for name, own, beside in zip(names, *parts, strict=True):
                profile = merged(own, beside)
                if profile is not None:
                    yield name, profile

    def neighbours(self, relation: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """All lists of a relation, by item id."""
        return self._values(self.keys.similar(relation, ""))

    def count(self, start: str) -> int:
        """Keys that begin with `start`."""
        return sum(1 for _ in self.names(start))

    def names(self, start: str) -> Iterator[str]:
        """What follows `start` in the keys that begin with it, in no order; one may come twice."""
        for key in self.client.scan_iter(match=beginning_with(start), count=1_000):
            yield key.decode()[len(start) :]

    def _values(self, start: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for names in batches(sorted(set(self.names(start)))):
            yield from self._found(start, names, unpack_versioned)

    def _found(
        self, start: str, names: list[str], unpack: Callable[[bytes | None], T | None]
    ) -> Iterator[tuple[str, T]]:
        for name, value in zip(names, self._unpacked(start, names, unpack), strict=True):
            if value is not None:
                yield name, value

    def _unpacked(self, start: str, names: list[str], unpack: Callable[[bytes | None], T]) -> list[T]:
        return [unpack(packed) for packed in self.client.mget([start + name for name in names])]


@contextmanager
def open_store(redis_url: str | None, left_in: Path | None, prefix: str) -> Iterator[Store]:
    """A store at a Redis address, or on what a run left in a folder (in an embedded Valkey, gone afterwards).

    Raises:
        StoreError: neither is named, or nothing is there.
    """
    if redis_url is not None:
        target = RedisTarget(redis_url, prefix)
        store = Store(target.reached(), Keys(prefix))
        if not store.meta():
            raise StoreError(f"{target.address} holds nothing under the prefix {prefix!r}: see --prefix, or run first")
        yield store
        return
    folder = left_in or Path("out")
    snapshot = folder / SNAPSHOT
    if not snapshot.is_file():
        raise StoreError(
            f"{snapshot}: there is none. Run `segmill run --out {folder}` first, or name a Redis with --redis URL "
            "(a run with --redis leaves its results there)"
        )
    with workspace() as private, EmbeddedValkey(private / "valkey", snapshot) as valkey:
        yield Store(valkey.client(), Keys(prefix))


def batches(names: Iterable[str], size: int = _BATCH) -> Iterator[list[str]]:
    """The names, so many at a time."""
    remaining = iter(names)
    while batch := list(islice(remaining, size)):
        yield batch
