"""`segmill population forget`: what is removed, in which order, and what stays."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_runs import DAY, T0, call

from jobs import population_forgetting
from jobs.population_forgetting import ROUNDS_MAX, Forgetting, Leaving, exits_of
from jobs.runtime.valkey import EmbeddedValkey
from jobs.store import Store, StoreError
from operators.redis_connection import RedisConnection, RedisTarget
from schemas.changes import SegmentChange
from schemas.keys import Keys
from schemas.writes import meta_write, model_write, population_write, profile_write

NOW = T0 + 10 * DAY
PREFIX = "forgotten:"
KEYS = Keys(PREFIX)


def part(customer: str, version: int, **since_ms: int) -> bytes:
    """The second part of a profile, in these segments and not in others."""
    body = {"customer_id": customer, "features": {"rfm_recency": 5}, "segments": since_ms}
    return population_write(customer, version, NOW, body, since_ms, ())


def own(customer: str, **since_ms: int) -> bytes:
    return profile_write(customer, 1, NOW, {"customer_id": customer, "segments": since_ms}, since_ms, ())


WRITES = (
    meta_write(NOW, {"rule_version": "r", "watermark_ms": str(NOW + 5)}),
    own("a", regulars=T0),
    part("a", 1, valued=T0 + 1, vip=T0 + 2),
    own("ä b", regulars=T0),
    part("ä b", 1, valued=T0 + 3),
    own("none"),
    part("none", 1),
    own("own now", vip=T0 + 4),
    part("own now", 1, vip=T0 + 3),
    population_write("withdrawn", 1, NOW, {}, {}, ("vip",)),
    model_write("clusters", 1, NOW, {"clusters": []}),
    model_write("percentiles", 1, NOW, {}),
)
"""`own now` is in a segment that own facts decide by now."""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture
def store(redis_url: str) -> Store:
    """A Redis with the population of five, and the keys of another job beside it."""
    target = RedisTarget(redis_url, PREFIX)
    store = Store(target.reached(), KEYS)
    store.client.flushall()
    store.client.set("other:population:a", "x")
    send(redis_url, *WRITES)
    return store


def send(redis_url: str, *writes: bytes) -> None:
    connection = RedisConnection(RedisTarget(redis_url, PREFIX))
    connection.send(list(writes))
    connection.close()


def content(store: Store) -> dict[str, object]:
    """All keys of the Redis; of sorted sets with their members."""
    client = store.client
    kinds: dict[bytes, Callable[[bytes], object]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    return {key.decode(): kinds[client.type(key)](key) for key in client.keys("*")}


class Subscriber:
    """Keeps what is said; `meanwhile` happens after something was said, before it is removed."""

    def __init__(self, meanwhile: Callable[[list[Leaving]], None] = lambda leaving: None) -> None:
        self.changes: list[SegmentChange] = []
        self._meanwhile = meanwhile

    def tell(self, leaving: list[Leaving], at_ms: int, rule_version: str) -> None:
        self.changes += [change for one in leaving for change in exits_of(one, at_ms, rule_version)]
        self._meanwhile(leaving)

    def said(self) -> list[tuple[str, str, int, int]]:
        return [(one.customer_id, one.segment, one.at_ms, one.since_ms) for one in self.changes]


EXITS = [("a", "valued", NOW + 5, T0 + 1), ("a", "vip", NOW + 5, T0 + 2), ("ä b", "valued", NOW + 5, T0 + 3)]


class TestForgetting:
    def test_what_is_removed(self, store: Store) -> None:
        """All of the population and nothing else; who left is said, of what own facts do not decide."""
        before, subscriber, done = content(store), Subscriber(), list[int]()
        found = Forgetting(store).forget(subscriber, done.append)
        assert (found.customers, found.members, found.models) == (5, {"valued": 2, "vip": 1}, 2)
        assert sum(done) == 5
        assert subscriber.said() == EXITS
        assert {(one.change, one.rule_version, one.cause.kind) for one in subscriber.changes} == {
            ("left", "r", "rules")
        }
        left = {key: value for key, value in before.items() if "population:" not in key and "model:" not in key}
        assert left.pop(KEYS.segment("valued")) is not None
        left[KEYS.segment("vip")] = [(b"own now", T0 + 3)]
        assert content(store) == left | {"other:population:a": b"x"}

    def test_again(self, store: Store) -> None:
        """A second time there is nothing to do, and nothing to say."""
        Forgetting(store).forget(None, lambda _: None)
        before, subscriber = content(store), Subscriber()
        found = Forgetting(store).forget(subscriber, lambda _: None)
        assert (found.customers, found.members, found.models) == (0, {}, 0)
        assert subscriber.changes == []
        assert content(store) == before

    def test_only_counted(self, store: Store) -> None:
        before = content(store)
        found = Forgetting(store).found(lambda _: None)
        assert (found.customers, found.members, found.models) == (5, {"valued": 2, "vip": 1}, 2)
        assert content(store) == before

    def test_interrupted(self, store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was said and not removed is said again, as the same records, however far the job has come meanwhile."""
        monkeypatch.setattr(population_forgetting, "BATCH", 2)

        def interrupt(leaving: list[Leaving]) -> None:
            assert all(store.client.exists(KEYS.population(one.customer_id)) for one in leaving)
            if any(one.customer_id == "ä b" for one in leaving):
                raise KeyboardInterrupt

        first, second = Subscriber(interrupt), Subscriber()
        with pytest.raises(KeyboardInterrupt):
            Forgetting(store).forget(first, lambda _: None)
        assert first.said() == EXITS
        assert store.client.exists(KEYS.population("ä b"), KEYS.model("clusters"), KEYS.forgetting) == 3
        assert not store.client.exists(KEYS.population("a"))
        send(redis_url, meta_write(NOW + DAY, {"rule_version": "s", "watermark_ms": str(NOW + DAY)}))
        Forgetting(store).forget(second, lambda _: None)
        assert second.said() == EXITS[2:]
        assert [one.change_id for one in second.changes] == [one.change_id for one in first.changes[2:]]
        assert store.client.keys(f"{PREFIX}population*") == store.client.keys(f"{PREFIX}model:*") == []

    def test_who_changes_meanwhile(self, store: Store, redis_url: str) -> None:
        """Is removed as of then; a job that goes on writing is noticed."""
        versions = iter((2, 3))

        def changed(leaving: list[Leaving]) -> None:
            for version in versions:
                send(redis_url, part("a", version, new=NOW))
                return

        found = Forgetting(store).forget(Subscriber(changed), lambda _: None)
        assert (found.customers, found.members) == (5, {"valued": 1, "new": 1})
        assert not store.client.exists(KEYS.population("a"), KEYS.segment("new"))
        numbers = iter(range(4, 100))
        busy = Subscriber(lambda leaving: send(redis_url, part("a", next(numbers), new=NOW)))
        send(redis_url, part("a", 3, new=NOW))
        with pytest.raises(StoreError, match="stop the job"):
            Forgetting(store).forget(busy, lambda _: None)
        assert len(busy.changes) == ROUNDS_MAX


class TestCommand:
    def test_told_before_it_is_done(
        self, store: Store, redis_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        """Without --yes nothing happens; with it, once."""
        del tmp_path
        where = "population", "forget", "--redis", redis_url, "--prefix", PREFIX, "--untold"
        before = content(store)
        said = call(capsys, *where)
        assert (said.code, content(store)) == (0, before)
        assert said.out.splitlines() == [
            "members  segment",
            "      2  valued",
            "      1  vip",
            "to be removed with --yes: these memberships, second parts of 5 profiles, 2 models",
        ]
        done = call(capsys, *where, "--yes", "--json").json
        members = {"valued": 2, "vip": 1}
        assert done == {"done": True, "told": False, "customers": 5, "members": members, "models": 2}
        assert call(capsys, *where, "--yes").out == "nothing of a population is there\n"

    @pytest.mark.parametrize(
        ("more", "why"),
        [
            ((), "whom to tell"),
            (("--untold", "--bootstrap", "127.0.0.1:1"), "whom to tell"),
        ],
    )
    def test_whom_to_tell(
        self, redis_url: str, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], why: str
    ) -> None:
        """Is not left to chance: once removed, nobody knows any more who left."""
        said = call(capsys, "population", "forget", "--redis", redis_url, "--prefix", PREFIX, "--yes", *more)
        assert said.code == 2
        assert why in said.err
