"""The script that applies writes, on a real server."""

import random
import struct
from time import monotonic
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runtime.valkey import EmbeddedValkey
from operators.redis_connection import RedisConnection, RedisFailure, RedisRefused, RedisTarget
from schemas.keys import Keys
from schemas.profiles import pack_versioned, unpack_versioned
from schemas.writes import (
    MOST_POPULAR,
    TOMBSTONE_TTL_MS,
    meta_write,
    popular_write,
    population_write,
    profile_tombstone,
    profile_write,
    published_write,
    similar_write,
)

KEYS = Keys("t:")
SEGMENTS = ("browsers", "regulars", "vip")


@pytest.fixture
def client(valkey: EmbeddedValkey) -> Any:
    client = valkey.client()
    client.flushall()
    return client


@pytest.fixture
def connection(valkey: EmbeddedValkey, client: Any) -> RedisConnection:
    return RedisConnection(RedisTarget(valkey.url, KEYS.prefix, patience_s=2.0))


class TestProfiles:
    def test_is_a_plain_map_to_a_reader(self, client: Any, connection: RedisConnection) -> None:
        """What is written is read back, whatever characters an id has."""
        customer = "a:b\x1f ü\u4e2d"
        assert connection.send([profile_write(customer, 7, 99, {"features": {"orders_1d": 3}})]) == (1, 0)
        stored = client.get(KEYS.profile(customer))
        assert unpack_versioned(stored) == {"version": 7, "as_of_ms": 99, "features": {"orders_1d": 3}}

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ((1, 0), (2, 0)),
            ((1, 5), (1, 6)),
            ((255, 0), (256, 0)),
            ((2**32 - 1, 9), (2**32, 0)),
            ((2**53, 0), (2**53 + 1, 0)),
            ((2**63 - 1, 0), (2**63, 0)),
            ((0x7F, 0), (0x80, 0)),
            ((2**64 - 2, 0), (2**64 - 1, 0)),
            ((3, 2**40), (4, 0)),
        ],
    )
    def test_older_never_wins(
        self, client: Any, connection: RedisConnection, first: tuple[int, int], second: tuple[int, int]
    ) -> None:
        """Versions compare as numbers of 64 bits, then the times do."""
        old, new = (profile_write("c", *at, {"n": name}) for at, name in ((first, "old"), (second, "new")))
        assert connection.send([new, old]) == (1, 1)
        assert connection.send([old]) == (0, 1)
        stored = unpack_versioned(client.get(KEYS.profile("c")))
        assert stored is not None
        assert stored["n"] == "new"

    def test_memberships_follow_the_profile(self, client: Any, connection: RedisConnection) -> None:
        """The sets change with the profile that wins, and only then."""
        since_ms = 1_700_000_000_123
        enter = profile_write("c", 2, 1, {"a": 1}, {"vip": since_ms}, ["browsers", "regulars"])
        stale = profile_write("c", 1, 1, {"a": 1}, {"browsers": 5}, ["vip", "regulars"])
        connection.send([enter, stale])
        assert client.zrange(KEYS.segment("vip"), 0, -1, withscores=True) == [(b"c", float(since_ms))]
        assert not client.exists(KEYS.segment("browsers"))
        connection.send([profile_write("c", 3, 1, {"a": 1}, {}, SEGMENTS)])
        assert not client.exists(KEYS.segment("vip"))

    def test_a_tombstone_withdraws(self, client: Any, connection: RedisConnection) -> None:
        """Nothing older comes back; what is newer may."""
        connection.send([profile_write("c", 2, 1, {"a": 1}, {"vip": 5}, []), profile_tombstone("c", 3, 1, SEGMENTS)])
        assert unpack_versioned(client.get(KEYS.profile("c"))) is None
        assert client.pttl(KEYS.profile("c")) > 0
        assert not client.exists(KEYS.segment("vip"))
        connection.send([profile_write("c", 2, 9, {"a": 1}, {"vip": 5}, [])])
        assert unpack_versioned(client.get(KEYS.profile("c"))) is None
        connection.send([population_write("c", 1, 1, {"scores": {}}), profile_tombstone("c", 3, 1, SEGMENTS)])
        assert not client.exists(KEYS.population("c"))  # of a job that had a population, by one that has none
        connection.send([profile_write("c", 4, 1, {"a": 2})])
        assert client.pttl(KEYS.profile("c")) == -1

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_any_interleaving_converges(self, valkey: EmbeddedValkey, data: st.DataObject) -> None:
        """However writes are repeated and mixed, each key ends at its newest write, and the sets agree with it."""
        client = valkey.client()
        client.flushall()
        connection = RedisConnection(RedisTarget(valkey.url, KEYS.prefix))
        newest: dict[str, tuple[int, dict[str, int] | None]] = {}
        writes = []
        for version in range(1, data.draw(st.integers(1, 12)) + 1):
            customer = data.draw(st.sampled_from("ab"))
            if data.draw(st.integers(0, 5)) == 0:
                newest[customer] = (version, None)
                writes.append(profile_tombstone(customer, version, 1, SEGMENTS))
                continue
            member = {name: version for name in SEGMENTS if data.draw(st.booleans())}
            newest[customer] = (version, member)
            others = [name for name in SEGMENTS if name not in member]
            writes.append(profile_write(customer, version, 1, {"v": version}, member, others))
        repeated = writes + data.draw(st.lists(st.sampled_from(writes), max_size=12))
        shuffled = data.draw(st.permutations(repeated))
        while shuffled:
            size = data.draw(st.integers(1, len(shuffled)))
            connection.send(shuffled[:size])
            shuffled = shuffled[size:]
        for customer, (version, member_of) in newest.items():
            stored = unpack_versioned(client.get(KEYS.profile(customer)))
            assert (stored and stored["version"]) == (None if member_of is None else version)
            for name in SEGMENTS:
                assert client.zscore(KEYS.segment(name), customer) == (member_of or {}).get(name)


class TestItems:
    def test_similar_lists(self, client: Any, connection: RedisConnection) -> None:
        """A list is replaced by newer ones; an empty one withdraws it."""
        connection.send([similar_write("bought-with", "i:1", 5, 1, [("x", 0.5, 3), ("y", 0.25, 1)])])
        key = KEYS.similar("bought-with", "i:1")
        stored = unpack_versioned(client.get(key))
        assert stored is not None
        assert stored["neighbours"] == [["x", 0.5, 3], ["y", 0.25, 1]]
        assert connection.send([similar_write("bought-with", "i:1", 4, 1, [("z", 1.0, 1)])]) == (0, 1)
        connection.send([similar_write("bought-with", "i:1", 6, 1, [])])
        assert unpack_versioned(client.get(key)) is None

    def test_popular_is_versioned_and_bounded(self, client: Any, connection: RedisConnection) -> None:
        """The newest score of an item counts; the best thousand are kept, and no version of any other."""
        scores = {f"i{number}": number + 0.1 for number in range(1, MOST_POPULAR + 51)}
        connection.send([popular_write("all", item, 2, score) for item, score in scores.items()])
        assert client.zcard(KEYS.popular("all")) == MOST_POPULAR
        assert client.hlen(KEYS.popular_versions("all")) == MOST_POPULAR
        assert client.zscore(KEYS.popular("all"), "i1050") == 1050.1
        assert connection.send([popular_write("all", "i1050", 1, 5.0), popular_write("all", "i1049", 3, 0.0)]) == (1, 1)
        assert client.zscore(KEYS.popular("all"), "i1050") == 1050.1
        assert client.zscore(KEYS.popular("all"), "i1049") is None

    def test_meta(self, client: Any, connection: RedisConnection) -> None:
        """An older watermark changes nothing."""
        connection.send([meta_write(10, {"watermark_ms": "10", "rules": "b"}), meta_write(9, {"rules": "a"})])
        assert client.hgetall(KEYS.meta) == {b"as_of_ms": b"10", b"watermark_ms": b"10", b"rules": b"b"}


class TestPublished:
    def test_it_can_be_seen_for_a_day(self, client: Any, connection: RedisConnection) -> None:
        """As of when everything was written, under the name of who asked for it."""
        connection.send([published_write("end of 2025", 1_767_225_600_000)])
        key = KEYS.published("end of 2025")
        assert client.get(key) == b"1767225600000"
        assert 0 < client.pttl(key) <= TOMBSTONE_TTL_MS


class TestFailures:
    def test_wrong_type_is_named(self, client: Any, connection: RedisConnection) -> None:
        """A key of another type is no matter of patience; the message names it."""
        client.lpush(KEYS.profile("c"), "x")
        with pytest.raises(RedisFailure, match=r"WRONGTYPE.*t:profile:c"):
            connection.send([profile_write("c", 1, 1, {})])

    def test_scripts_may_be_flushed(self, client: Any, connection: RedisConnection) -> None:
        """A server that has forgotten the script is given it again."""
        connection.send([profile_write("c", 1, 1, {"a": 1})])
        client.script_flush()
        assert connection.send([profile_write("c", 2, 1, {"a": 1})]) == (1, 0)

    def test_asked_and_answered_later(self, client: Any, valkey: EmbeddedValkey) -> None:
        """Redis works meanwhile; batches that are asked for one after the other need no more than one connection."""
        connection = RedisConnection(RedisTarget(valkey.url, KEYS.prefix))
        connection.ask([profile_write("c", 1, 1, {"a": 1})])  # the script is not there yet
        assert connection.answer() == (1, 0)
        for version in range(2, 6):
            connection.ask([profile_write("c", version, 1, {"a": version}), profile_write("c", 1, 1, {"a": 1})])
            until = monotonic() + 10.0
            while not connection.has_answered():
                assert monotonic() < until
            assert client.exists(KEYS.profile("c"))
            assert connection.answer() == (1, 1)
        assert not connection.has_answered()
        assert len(connection._client.connection_pool._available_connections) == 1

    def test_what_was_asked_of_a_server_that_forgot_the_script(self, client: Any, valkey: EmbeddedValkey) -> None:
        connection = RedisConnection(RedisTarget(valkey.url, KEYS.prefix))
        connection.send([profile_write("c", 1, 1, {"a": 1})])
        client.script_flush()
        connection.ask([profile_write("c", 2, 1, {"a": 2})])
        assert connection.answer() == (1, 0)

    def test_what_was_asked_while_memory_is_full(self, client: Any, valkey: EmbeddedValkey) -> None:
        """It is waited out as by `send`, and then named."""
        waits: list[float] = []
        connection = RedisConnection(RedisTarget(valkey.url, KEYS.prefix, patience_s=0.2), sleep=waits.append)
        connection.send([profile_write("c", 1, 1, {"a": 1})])
        client.config_set("maxmemory", "1mb")
        try:
            connection.ask([profile_write("c", 2, 1, {"a": "x" * 100})])
            with pytest.raises(RedisFailure, match="maxmemory"):
                connection.answer()
        finally:
            client.config_set("maxmemory", "0")
        assert waits

    def test_full_memory_is_waited_out_and_then_named(self, client: Any, valkey: EmbeddedValkey) -> None:
        """A full server is retried until patience ends."""
        waits: list[float] = []
        connection = RedisConnection(RedisTarget(valkey.url, KEYS.prefix, patience_s=0.2), sleep=waits.append)
        client.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(RedisFailure, match="maxmemory"):
                connection.send([profile_write("c", 1, 1, {"a": "x" * 100})])
        finally:
            client.config_set("maxmemory", "0")
        assert waits

    def test_no_server_and_no_password_told(self) -> None:
        """The message names the address and keeps the password."""
        target = RedisTarget("redis://user:s3cret@127.0.0.1:1/0", patience_s=0.1)
        assert target.address == "redis://127.0.0.1:1/0"
        with pytest.raises(RedisFailure, match=r"redis://127\.0\.0\.1:1") as failure:
            RedisConnection(target).send([profile_write("c", 1, 1, {})])
        assert "s3cret" not in str(failure.value)
        assert failure.value.__cause__ is None

    def test_a_wrong_password_is_not_a_server_that_is_away(self, client: Any, valkey: EmbeddedValkey) -> None:
        """Waiting would not help; neither of the two is told."""
        client.config_set("requirepass", "s3cret")
        try:
            for url in (valkey.url, valkey.url.replace("unix://", "unix://:wr0ng@")):
                with pytest.raises(RedisRefused, match="not let in") as refused:
                    RedisTarget(url).reached()
                assert not {"s3cret", "wr0ng"} & set(str(refused.value).replace(":", " ").split())
            RedisTarget(valkey.url.replace("unix://", "unix://:s3cret@")).reached()
        finally:
            client.config_set("requirepass", "")

    def test_an_address_that_no_server_can_have(self) -> None:
        with pytest.raises(RedisRefused, match="the address cannot be used"):
            RedisTarget("redis://127.0.0.1:port").reached()

    def test_not_an_address(self) -> None:
        """Anything else than a Redis URL is refused at once."""
        with pytest.raises(RedisFailure, match="redis://"):
            RedisTarget("http://u:s3cret@example.org")

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("user:hun/ter2@host:6379", "'host:6379'"),
            ("hun://ter2@host:6379", "'host:6379'"),
            ("redis:user:hunter2@host:6379", "'host:6379'"),
            ("REDIS://u:hunter2@host", "'host'"),
            ("redis://u:hun/ter2@h:1/0", "'redis://h:1/0'"),
            ("redis://u:123/hunter2@h:1/0", "'redis://h:1/0'"),
            ("redis://u:hun@ter/2@h:1/0", "'redis://h:1/0'"),
            ("redis://u:hun?ter2@h:1/0", "'redis://…'"),
            ("redis://h:1/0?password=hun@ter2", "'redis://…'"),
            ("rediss://u:hun#ter2@h:1/0", "'rediss://…'"),
            ("redis://u:hun[ter2@h:1/0", "'redis://h:1/0'"),
            ("redis://u:hun\u2100ter2@h:1/0", "'redis://h:1/0'"),
        ],
    )
    def test_a_mistyped_address_does_not_tell_the_password(self, url: str, shown: str) -> None:
        """What stands before the last @ is not shown, nor anything else that may belong to it."""
        with pytest.raises(RedisFailure, match="Redis address") as failure:
            RedisTarget(url)
        said = str(failure.value)
        assert shown in said
        assert not [part for part in ("hun", "ter2", "user", "123") if part in said.replace("user or password", "")]
        assert failure.value.__cause__ is None

    def test_an_address_with_options(self) -> None:
        """They are not shown either; a socket may have any path."""
        assert RedisTarget("redis://u:p%40%2F@h:1/0?password=hunter2").address == "redis://h:1/0"
        assert RedisTarget("unix:///run/a/b.sock?db=1").address == "unix:///run/a/b.sock"
        RedisTarget("unix://u:p@/run/a@b/c.sock")

    def test_restart_in_the_middle(self, tmp_path: Any) -> None:
        """A server killed and started again is written to as soon as it is back; a replay makes up for what it lost."""
        rng = random.Random(5)
        writes = [profile_write(f"c{rng.randrange(5)}", version, 1, {"v": version}) for version in range(1, 60)]
        from jobs.runtime.workspace import workspace

        with workspace() as folder:
            server = EmbeddedValkey(folder / "v")
            server.__enter__()
            pauses: list[float] = []

            def revive(pause_s: float) -> None:
                pauses.append(pause_s)
                if len(pauses) == 3:
                    server.stop()
                    server.__enter__()

            connection = RedisConnection(RedisTarget(server.url, KEYS.prefix), sleep=revive)
            connection.send(writes[:30])
            server._process.kill()
            server._process.wait()
            connection.send(writes[30:])
            assert len(pauses) >= 3
            pauses.clear()
            connection.ask(writes[:30])
            server._process.kill()
            server._process.wait()
            connection.answer()
            pauses.clear()
            server._process.kill()
            server._process.wait()
            connection.ask(writes[30:])
            connection.answer()
            assert len(pauses) >= 3
            connection.send(writes)
            with RedisConnectionOf(server) as expected:
                assert expected.profiles() == _replayed(writes)
            server.stop()


class RedisConnectionOf:
    """Reads all profiles of a server."""

    def __init__(self, server: EmbeddedValkey) -> None:
        self._client = server.client()

    def __enter__(self) -> "RedisConnectionOf":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def profiles(self) -> dict[str, int]:
        found = {}
        for key in self._client.keys(KEYS.profile("*")):
            stored = unpack_versioned(self._client.get(key))
            assert stored is not None
            found[key.decode().rpartition(":")[2]] = stored["version"]
        return found


def _replayed(writes: list[bytes]) -> dict[str, int]:
    import msgpack

    newest: dict[str, int] = {}
    for write in writes:
        _, customer, value = msgpack.unpackb(write, raw=True)[:3]
        (version,) = struct.unpack(">Q", value[12:20])
        newest[customer.decode()] = max(version, newest.get(customer.decode(), 0))
    return newest


def test_header_places() -> None:
    """The places that the script compares are where the header has them."""
    value = pack_versioned(0x0102030405060708, 0x1112131415161718, {"x": 1})
    assert value[12:20] == bytes(range(1, 9))
    assert value[30:38] == bytes(range(0x11, 0x19))


def test_error_kinds_are_known_to_the_client() -> None:
    """redis-py turns some replies into classes; the connection relies on these."""
    assert issubclass(redis.exceptions.OutOfMemoryError, redis.RedisError)
    assert issubclass(redis.exceptions.NoScriptError, redis.RedisError)
