"""Takes out of Redis what a job with a population left there, and says who left what: for jobs that go on without one.

::

    population:{customer} ── segments that the profile's first part does not have as well ──> "left", to Kafka
                                                                                │ once the brokers have it
                                                     ZREM from segment:{name} <─┴─> DEL population:{customer}

A customer's part is removed in one step with its memberships, and only if neither part of the profile has changed since
it was read. Who is interrupted begins again: what had been said and not yet removed is said once more, as the same
records. At the end what was learned of all customers (`model:…`) is removed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, Protocol

import msgpack
import msgspec
from confluent_kafka import KafkaError, Message

from jobs.kafka_client import Errors, KafkaProblem, KafkaTarget
from jobs.store import Store, StoreError, batches
from jobs.topics import Topics
from schemas.changes import LEFT, Cause, SegmentChange, change_id
from schemas.headers import SCHEMA_VERSION_HEADER
from schemas.profiles import HEADER_BYTES, unpack_versioned

BATCH: Final = 500
"""Customers whose exits are said before any of them is removed."""
ROUNDS_MAX: Final = 5
"""Customers that change while they are being removed are tried again so often."""
_DELIVER_WITHIN_MS: Final = 60_000
_encode = msgspec.json.Encoder().encode
_pack = msgpack.Packer(use_bin_type=False).pack
_REMOVE: Final = """
local prefix = ARGV[1]
local changed = {}
for i = 2, #ARGV do
  local one = cmsgpack.unpack(ARGV[i])
  local customer, part, own, segments = one[1], one[2], one[3], one[4]
  local key = prefix .. 'population:' .. customer
  if redis.call('GETRANGE', key, 0, #part - 1) == part
     and redis.call('GETRANGE', prefix .. 'profile:' .. customer, 0, HEADER - 1) == own then
    for _, name in ipairs(segments) do
      redis.call('ZREM', prefix .. 'segment:' .. name, customer)
    end
    redis.call('DEL', key)
  else
    changed[#changed + 1] = customer
  end
end
return changed
""".replace("HEADER", str(HEADER_BYTES))


class Leaving(NamedTuple):
    """A customer and the memberships that nobody decides any more."""

    customer_id: str
    since_ms: dict[str, int]
    part: bytes
    """The beginning of the second part of the profile, which tells its version."""
    own: bytes
    """That of the first part; empty: there is none."""


class Told(Protocol):
    """Where exits are said."""

    def tell(self, leaving: Iterable[Leaving], at_ms: int, rule_version: str) -> None: ...


@dataclass(slots=True)
class Found:
    """What is there to be removed, or was removed."""

    customers: int = 0
    """With a second part of the profile."""
    members: dict[str, int] = field(default_factory=dict)
    """By segment."""
    models: int = 0

    def count(self, leaving: Iterable[Leaving]) -> None:
        """Add these customers."""
        for one in leaving:
            self.customers += 1
            for name in one.since_ms:
                self.members[name] = self.members.get(name, 0) + 1


class Forgetting:
    """What one Redis holds of a population."""

    def __init__(self, store: Store) -> None:
        """`store`: opened for reading; nothing is changed before `forget`."""
        self._store, self._keys = store, store.keys
        self._remove = store.client.register_script(_REMOVE)

    def customers(self) -> list[str]:
        """All who have a second part of the profile."""
        return sorted(set(self._store.names(self._keys.population(""))))

    def found(self, done: Callable[[int], None]) -> Found:
        """Count what is there; `done` is told of so many customers at a time."""
        found = Found(models=len(self._models()))
        for names in batches(self.customers(), BATCH):
            found.count(self._leaving(names))
            done(len(names))
        return found

    def forget(self, told: Told | None, done: Callable[[int], None]) -> Found:
        """Remove all of it, having told of it.

        Raises:
            StoreError: customers keep changing: a job with a population is running.
            KafkaProblem: the brokers do not take what is said.
        """
        found, names = Found(), self.customers()
        tell = None if told is None else partial(told.tell, at_ms=self._moment_ms(), rule_version=self._rule_version())
        for _ in range(ROUNDS_MAX):
            for some in batches(names, BATCH):
                gone = self._removed(self._leaving(some), tell)
                found.count(gone)
                done(len(gone))
            names = self.customers()
            if not names:
                break
        else:
            raise StoreError("what is removed comes back: stop the job that has a population, then try again")
        models = self._models()
        if models:
            found.models = self._store.client.delete(*models)
        self._store.client.delete(self._keys.forgetting)
        return found

    def _rule_version(self) -> str:
        return self._store.meta().get("rule_version", "")

    def _moment_ms(self) -> int:
        """When they leave, in event time: how far the job has come; the same for whoever begins again."""
        meta, client = self._store.meta(), self._store.client
        client.set(self._keys.forgetting, meta.get("watermark_ms") or meta.get("as_of_ms", "0"), nx=True)
        return int(client.get(self._keys.forgetting))

    def _removed(self, leaving: list[Leaving], tell: Callable[[list[Leaving]], None] | None) -> list[Leaving]:
        """Who was removed of these: those whose profile has not changed meanwhile."""
        if tell is not None:
            tell(leaving)
        rows = [_pack((one.customer_id, one.part, one.own, list(one.since_ms))) for one in leaving]
        changed = {name.decode() for name in self._remove(args=[self._keys.prefix, *rows])} if rows else set()
        return [one for one in leaving if one.customer_id not in changed]

    def _leaving(self, names: Sequence[str]) -> list[Leaving]:
        """Those of these customers who have a second part now."""
        keys, client = self._keys, self._store.client
        parts = client.mget([keys.population(name) for name in names])
        owns = client.mget([keys.profile(name) for name in names])
        return [
            Leaving(name, _memberships(part, own), part[:HEADER_BYTES], (own or b"")[:HEADER_BYTES])
            for name, part, own in zip(names, parts, owns, strict=True)
            if part is not None
        ]

    def _models(self) -> list[str]:
        start = self._keys.model("")
        return [start + name for name in sorted(set(self._store.names(start)))]


def _memberships(part: bytes, own: bytes | None) -> dict[str, int]:
    """Segments of the second part, without those that own facts decide by now."""
    (beside, profile) = (unpack_versioned(value) or {} for value in (part, own))
    decided = profile.get("segments", {})
    return {name: at_ms for name, at_ms in beside.get("segments", {}).items() if name not in decided}


class Exits:
    """Says exits in the topics of a live job, as its own operators would."""

    def __init__(self, target: KafkaTarget, topics: Topics) -> None:
        """Nothing is said yet.

        Raises:
            KafkaProblem: Kafka does not answer, or does not have the topics.
        """
        self._target = target
        self._changes, self._memberships = topics.segment_changes.name, topics.population_memberships.name
        there = target.metadata().topics
        for name in (self._changes, self._memberships):
            if name not in there:
                raise KafkaProblem(f"no topic {name}; see --topic-prefix")
        self._errors, self._failed = Errors(), list[KafkaError]()
        fixed = {"enable.idempotence": True, "on_delivery": self._delivered}
        defaults = {"partitioner": "murmur2_random", "delivery.timeout.ms": _DELIVER_WITHIN_MS}  # as Java clients do
        self._producer = target.producer(self._errors, fixed, defaults)

    def tell(self, leaving: Iterable[Leaving], at_ms: int, rule_version: str) -> None:
        """Say that they leave, and wait until the brokers have it all.

        Raises:
            KafkaProblem: they do not take it.
        """
        for one in leaving:
            for change in exits_of(one, at_ms, rule_version):
                self._produce(self._changes, one.customer_id, _encode(change))
            if one.since_ms:
                self._produce(self._memberships, one.customer_id, None)
        self._producer.flush()
        if self._failed:
            raise self._target.problem(self._errors.worst or self._failed[0])

    def _produce(self, topic: str, key: str, value: bytes | None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, headers=[SCHEMA_VERSION_HEADER])
            except BufferError:  # the queue is full: the brokers set the pace
                self._producer.poll(0.2)
            else:
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        del message
        if error is not None:
            self._failed.append(error)


def exits_of(one: Leaving, left_ms: int, rule_version: str) -> Iterator[SegmentChange]:
    """One for each membership, the same again for the same moment."""
    customer = one.customer_id
    for name, since_ms in one.since_ms.items():
        at_ms = max(left_ms, since_ms)
        named = change_id(customer, name, LEFT, at_ms, "forgotten")
        yield SegmentChange(named, customer, name, LEFT, at_ms, since_ms, Cause("rules"), rule_version, {})
