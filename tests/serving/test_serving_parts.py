"""The parts of the server, each by itself."""

import asyncio
import mmap
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.api_keys import ApiKey, ApiKeys, KeyFileError, Scope, load_keys, new_key
from serving.breaker import Breaker, BreakerState
from serving.change_feed import ChangeFeed, FeedError, Stream
from serving.change_position import Kept, Missing, Position, go_on, parse_position, position_text
from serving.kafka import KafkaSettings
from serving.local_cache import BYTES_EACH, LocalCache
from serving.metrics import Metrics
from serving.rate_limits import RateLimits
from serving.segment_pages import CursorError, Member, decode_cursor, encode_cursor, first_after
from serving.settings import ServingSettings, ServingSettingsError, load_serving_settings


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class TestBreaker:
    def test_it_opens_lets_one_try_and_closes(self) -> None:
        """Failures in a row; a success between them counts from the start."""
        clock = Clock()
        breaker = Breaker(failures=3, over_s=0.0, open_s=1.0, clock=clock)
        for outcome in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed, breaker.failed):
            outcome()
        assert (breaker.state, breaker.allows()) == (BreakerState.CLOSED, True)
        breaker.failed()
        assert (breaker.state, breaker.allows()) == (BreakerState.OPEN, False)
        clock.now_s += 1.0
        assert breaker.state == BreakerState.HALF_OPEN
        assert [breaker.allows(), breaker.allows()] == [True, False]
        clock.now_s += 1.0
        assert breaker.allows()
        breaker.succeeded()
        assert [breaker.allows(), breaker.allows()] == [True, True]

    def test_a_short_stall_does_not_open_it(self) -> None:
        """Everything that was under way fails at once; only if that goes on is nobody there."""
        clock = Clock()
        breaker = Breaker(failures=3, over_s=0.2, open_s=1.0, clock=clock)
        for _ in range(50):
            breaker.failed()
        assert breaker.allows()
        clock.now_s += 0.3
        breaker.failed()
        assert not breaker.allows()


class TestLocalCache:
    def test_it_is_bounded_and_forgets_what_is_not_used(self) -> None:
        """By an estimate of memory."""
        cache = LocalCache(3 * (BYTES_EACH + 1), 60.0)
        for key in "abc":
            cache.put(key, key, 0)
        assert cache.fresh("a")
        cache.put("d", "d", 0)
        assert [key for key in "abcd" if cache.fresh(key)] == ["a", "c", "d"]
        assert cache.bytes == 3 * (BYTES_EACH + 1)
        cache.put("large", "x", 10_000)
        assert cache.fresh("large") is None

    def test_what_changed_is_gone_and_what_is_old_is_stale(self) -> None:
        """After the track is lost nothing is fresh; a value read anew is."""
        clock = Clock()
        cache = LocalCache(1 << 20, 60.0, clock)
        for key in "abc":
            cache.put(key, key, 1)
        cache.changed(["a"])
        assert (cache.fresh("a"), cache.stale("a")) == (None, None)
        cache.lost_track()
        assert cache.fresh("b") is None
        assert cache.stale("b")
        cache.put("b", "new", 1)
        assert cache.fresh("b")
        clock.now_s += 61
        assert cache.stale("c") is None
        cache.changed(None)
        assert (len(cache), cache.bytes) == (0, 0)


class TestRateLimits:
    def test_a_burst_then_a_rate(self) -> None:
        """Each key for itself."""
        clock = Clock()
        key, other = (ApiKey(name=name, sha256="", scopes=(), rate_per_s=2, burst=3) for name in "ab")
        free = ApiKey(name="free", sha256="", scopes=())
        limits = RateLimits((key, other, free), 0, 0, clock=clock)
        assert [limits.wait_s(key) for _ in range(4)] == [0, 0, 0, 0.5]
        assert limits.wait_s(other) == 0
        clock.now_s += 0.5
        assert [limits.wait_s(key), limits.wait_s(key)] == [0, 0.5]
        clock.now_s += 1_000
        assert [limits.wait_s(key) for _ in range(4)] == [0, 0, 0, 0.5]
        assert not any(limits.wait_s(free) for _ in range(100))

    def test_settings_are_for_keys_that_say_nothing(self) -> None:
        """Without a burst, twice the rate of a second; at least one."""
        said, quiet, slow = (
            ApiKey(name="said", sha256="", scopes=(), rate_per_s=1, burst=1),
            ApiKey(name="quiet", sha256="", scopes=()),
            ApiKey(name="slow", sha256="", scopes=(), rate_per_s=0.1),
        )
        limits = RateLimits((said, quiet, slow), 2, 0, clock=Clock())
        allowed = {key.name: [limits.wait_s(key) for _ in range(6)].count(0) for key in (said, quiet, slow)}
        assert allowed == {"said": 1, "quiet": 4, "slow": 1}

    @pytest.mark.parametrize("rate_per_s", [3, 7.3, 999])
    def test_no_request_is_lost_to_rounding(self, rate_per_s: float) -> None:
        """A thousand at once, and then each at its time."""
        clock = Clock()
        clock.now_s = 1e7
        key = ApiKey(name="a", sha256="", scopes=(), rate_per_s=rate_per_s, burst=1_000)
        limits = RateLimits((key,), 0, 0, clock=clock)
        assert [limits.wait_s(key) for _ in range(1_001)].count(0) == 1_000
        for turn in range(1, 1_000):
            clock.now_s = 1e7 + turn / rate_per_s
            assert [limits.wait_s(key), limits.wait_s(key) > 0] == [0, True]

    def test_workers_count_together(self) -> None:
        """To the last request, however they are mixed."""
        key = ApiKey(name="a", sha256="", scopes=(), rate_per_s=1e-6, burst=20_000)
        limits = RateLimits((key,), 0, 0)
        counts = memoryview(mmap.mmap(-1, 3 * 8)).cast("q")
        pids = []
        for worker in range(3):
            pid = os.fork()
            if not pid:
                while limits.wait_s(key) == 0:
                    counts[worker] += 1
                os._exit(0)
            pids.append(pid)
        for pid in pids:
            os.waitpid(pid, 0)
        assert sum(counts) == 20_000
        assert min(counts) > 0

    def test_one_that_dies_while_it_counts_holds_up_nobody(self) -> None:
        """The others go on at once."""
        key = ApiKey(name="a", sha256="", scopes=(), rate_per_s=1e-6, burst=10)
        dies = [False]

        def clock() -> float:
            if dies[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return time.monotonic()

        limits = RateLimits((key,), 0, 0, clock=clock)
        pid = os.fork()
        if not pid:
            limits.wait_s(key)
            dies[0] = True
            limits.wait_s(key)
        os.waitpid(pid, 0)
        assert [limits.wait_s(key) for _ in range(10)].count(0) == 9


class TestKeys:
    def test_a_new_one_is_found_by_itself_alone(self) -> None:
        """Not by its hash, nor by a part."""
        key, digest = new_key()
        keys = ApiKeys((ApiKey(name="a", sha256=digest, scopes=(Scope.READ,)),))
        found = keys.find(key)
        assert found is not None
        assert (found.may(Scope.READ), found.may(Scope.INGEST), found.may(Scope.ADMIN)) == (True, False, False)
        assert [keys.find(other) for other in (digest, key[:-1], "", "\udcff")] == [None] * 4

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("", "no keys"), ("x", "Expected"), ("[[keys]]\nname='a'", "sha256"),
            ("[[keys]]\nname='a'\nsha256='abc'\nscopes=['read']", "64 hex"),
            (f"[[keys]]\nname='a'\nsha256='{'0' * 64}'\nscopes=['reed']", "reed"),
            (f"[[keys]]\nname='a'\nsha256='{'0' * 64}'\nscopes=[]", "no scopes"),
            (f"[[keys]]\nname='a'\nsha256='{'0' * 64}'\nscopes=['read']\nrate_per_s=nan", "not negative"),
            (f"[[keys]]\nname='a'\nsha256='{'0' * 64}'\nscopes=['read']\nburst=inf", "not negative"),
            (f"[[keys]]\nname='a'\nsha256='{'0' * 64}'\nscopes=['read']\nrate_per_s=-1", "not negative"),
            (f"[[keys]]\nname='a'\nkey='sgm_secret'\nsha256='{'0' * 64}'\nscopes=[]", "unknown field `key`"),
        ],
    )  # fmt: skip
    def test_a_file_that_cannot_be_used(self, tmp_path: Path, text: str, fault: str) -> None:
        """Says where and why, and repeats no key."""
        path = tmp_path / "keys.toml"
        path.write_text(text)
        with pytest.raises(KeyFileError, match=fault) as raised:
            load_keys(path)
        assert str(path) in str(raised.value)
        assert "sgm_" not in str(raised.value)

    def test_one_key_under_two_names_is_refused(self, tmp_path: Path) -> None:
        """Its scopes and its rate would be those of one of them; both are named."""
        path = tmp_path / "keys.toml"
        lines = [f"[[keys]]\nname='{name}'\nsha256='{'ab' * 32}'\nscopes=['read']\n" for name in ("page", "backend")]
        path.write_text("".join(lines))
        with pytest.raises(KeyFileError, match="'page' and 'backend' are the same key"):
            load_keys(path)


class TestSettings:
    def test_the_environment_wins_over_the_file(self, tmp_path: Path) -> None:
        """And both over the defaults."""
        path = tmp_path / "serve.toml"
        path.write_text('deadline_ms = 80\ncache_mb = 7\n[ranking]\nstatic = ["p-1"]\n')
        environ = {"SEGMILL_SERVE_CACHE_MB": "9", "SEGMILL_SERVE_CORS_ORIGINS": "https://a.example https://b.example"}
        settings = load_serving_settings(path, environ)
        assert (settings.deadline_ms, settings.cache_mb, settings.ranking.static) == (80, 9, ("p-1",))
        assert settings.cors_origins == ("https://a.example", "https://b.example")
        assert load_serving_settings(None, {}) == ServingSettings()

    @pytest.mark.parametrize("text", ["deadline = 1", "deadline_ms = 0", "max_events = 501", "cache_mb = 'x'", "x = ["])
    def test_what_cannot_be_is_refused(self, tmp_path: Path, text: str) -> None:
        """With the file's name."""
        path = tmp_path / "serve.toml"
        path.write_text(text)
        with pytest.raises(ServingSettingsError, match=r"serve\.toml"):
            load_serving_settings(path, {})


A, B = "a" * 32, "b" * 32
"""Ids of topics."""


class TestPositions:
    def test_there_and_back(self) -> None:
        """In the order of partitions; with the topic, if that is known."""
        assert position_text(Position({2: 7, 0: 5})) == "0:5,2:7"
        assert parse_position("0:5,2:7") == Position({0: 5, 2: 7}, "")
        named = Position({0: 5}, "0123456789abcdef" * 2)
        assert parse_position(position_text(named)) == named

    @pytest.mark.parametrize(
        "text",
        ["", "x", "0", "0:", ":1", "0:1,", "-1:0", "0:1;1:2", "0:9999999999999999999", "٣:1", "0:1@", "@a", "0:1@ab"],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        """It comes from outside."""
        with pytest.raises(ValueError, match="not an id"):
            parse_position(text)

    @pytest.mark.parametrize(
        ("asked", "topic_id", "offsets", "missing"),
        [
            (f"0:5,1:9@{A}", A, {0: 5, 1: 9}, []), ("0:5,1:9", "", {0: 5, 1: 9}, []), ("0:5,1:9", A, {0: 5, 1: 9}, []),
            (f"0:1,1:9@{A}", A, {0: 2, 1: 9}, [(0, "expired", 1, 2)]),
            (f"0:7@{A}", A, {0: 7, 1: 4}, [(1, "expired", 0, 4)]),  # new to the client, and some of it gone already
            (f"0:9,1:9@{A}", A, {0: 8, 1: 9}, [(0, "beyond-end", 9, 8)]),  # what there is it has seen
            ("0:9,1:9", "", {0: 2, 1: 9}, [(0, "beyond-end", 9, 2)]),  # or it is all new
            (f"0:5,1:9@{B}", A, {0: 2, 1: 4}, [(0, "recreated", 5, 2), (1, "recreated", 9, 4)]),
            (f"0:5,1:9,7:3@{B}", A, {0: 2, 1: 4},
             [(0, "recreated", 5, 2), (1, "recreated", 9, 4), (7, "recreated", 3, None)]),
            ("0:5,1:9,7:3", A, {0: 5, 1: 9}, [(7, "gone", 3, None)]),
        ],
    )  # fmt: skip
    def test_where_a_client_goes_on(
        self, asked: str, topic_id: str, offsets: dict[int, int], missing: list[tuple[object, ...]]
    ) -> None:
        """Of a topic with offsets 2 to 7 and 4 to 9; what it cannot have is named."""
        begin, told = go_on(parse_position(asked), topic_id, {0: Kept(2, 8), 1: Kept(4, 10)})
        assert begin == Position(offsets, topic_id)
        assert list(told) == [Missing(*one) for one in missing]  # type: ignore[arg-type]


class Reluctant:
    """A consumer that takes its time, and knows whether it is closed under a reader."""

    def __init__(self) -> None:
        self.reading = threading.Event()
        self.closed = self.closed_under_a_reader = False

    def assign(self, partitions: list[object]) -> None:
        """Whatever it is."""

    def consume(self, most: int, within_s: float) -> list[object]:
        """Nothing, after a while."""
        assert not self.closed
        self.reading.set()
        time.sleep(0.3)
        self.reading.clear()
        return []

    def close(self) -> None:
        """And look who reads."""
        self.closed_under_a_reader = self.reading.is_set()
        self.closed = True


class Record:
    """A message of a topic."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def error(self) -> None:
        """None."""

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 4

    def value(self) -> bytes:
        return self._value


class TestStreams:
    def test_a_record_of_several_lines_is_one_event(self) -> None:
        """Nothing in it ends the event, or is taken for an id."""
        consumer = Reluctant()
        consumer.consume = lambda most, within_s: [Record(b'{"segment":\n"a"}\r\n\nid: 7')]  # type: ignore[method-assign]
        stream = Stream(consumer, "t", (Position({0: 0}), ()))  # type: ignore[arg-type]
        (told,), _ = stream.read(())
        assert told == b'id: 0:5\ndata: {"segment":\ndata: "a"}\ndata: \ndata: id: 7\n\n'

    def test_none_is_closed_under_its_reader(self) -> None:
        """When its client goes, a thread may just be reading."""
        consumer = Reluctant()
        stream = Stream(consumer, "t", (Position({0: 0}), ()))  # type: ignore[arg-type]
        reader = threading.Thread(target=stream.read, args=((),))
        reader.start()
        assert consumer.reading.wait(5)
        stream.close()
        reader.join()
        assert (consumer.closed, consumer.closed_under_a_reader) == (True, False)
        assert stream.read(()) == ([], 0)


class TestStreamsOfAKey:
    @staticmethod
    def feed(opened: Callable[[], Stream]) -> ChangeFeed:
        """At most three streams, and two of one key."""
        kafka = KafkaSettings(bootstrap="127.0.0.1:1")
        feed = ChangeFeed(kafka, 3, 15.0, lambda _: None, most_each=2)
        feed._opened = lambda position, from_start: opened()  # type: ignore[method-assign]
        return feed

    def test_one_key_does_not_take_all(self) -> None:
        """What is being opened counts, and what has ended does not."""
        feed = self.feed(lambda: Stream(Reluctant(), "t", (Position({0: 0}), ())))  # type: ignore[arg-type]

        async def check() -> None:
            opening = asyncio.ensure_future(feed.open("a", None, False))
            await asyncio.sleep(0)
            other = await feed.open("a", None, False)
            assert (feed.has_enough("a"), feed.has_enough("b"), feed.full) == (True, False, False)
            await feed.open("b", None, False)
            assert (feed.has_enough("b"), feed.full, feed.streams) == (False, True, 3)
            for _ in range(2):
                feed.release(other)
            assert (feed.has_enough("a"), feed.full, feed.streams) == (False, False, 2)
            feed.release(await opening)
            assert feed.streams == 1

        asyncio.run(check())
        feed.close()

    def test_what_was_not_opened_is_not_held(self) -> None:
        """Because it failed, or because its client had gone before."""
        going_on = threading.Event()

        def fails() -> Stream:
            going_on.wait(10)
            raise FeedError("gone")

        feed = self.feed(fails)

        async def check() -> None:
            failing, leaving = (asyncio.ensure_future(feed.open("a", None, False)) for _ in range(2))
            await asyncio.sleep(0)
            assert (feed.has_enough("a"), feed.streams) == (True, 2)
            leaving.cancel()
            await asyncio.wait([leaving])
            assert feed.streams == 1
            going_on.set()
            with pytest.raises(FeedError):
                await failing
            assert feed.streams == 0

        asyncio.run(check())
        feed.close()


class TestCursors:
    def test_there_and_back(self) -> None:
        """For its own segment only."""
        cursor = encode_cursor("s", b"\xff\x00", 5)
        assert decode_cursor(cursor, "s") == (b"\xff\x00", 5)
        with pytest.raises(CursorError, match="another"):
            decode_cursor(cursor, "t")

    def test_bisection_finds_the_first_one_greater(self) -> None:
        """Wherever the member is that is gone."""
        members: list[Member] = [(bytes([letter]), since) for since in (1, 2, 2, 3) for letter in b"bdf"]
        members.sort(key=lambda member: (member[1], member[0]))

        async def at(rank: int) -> Member | None:
            return members[rank] if rank < len(members) else None

        for after in [(bytes([letter]), since) for since in range(5) for letter in b"abcdefg"]:
            expected = sum((since, name) <= (after[1], after[0]) for name, since in members)
            assert asyncio.run(first_after(after, 0, len(members), at)) == expected


class TestMetrics:
    def test_a_worker_in_the_place_of_another_counts_on(self) -> None:
        """What has been counted never becomes less; what is measured is the new one's alone."""
        metrics = Metrics(("/a",), 1)
        for hits, entries in ((5, 50), (2, 20)):
            metrics.join(lambda hits=hits, entries=entries: {"cache_hits": hits, "cache_entries": entries})  # type: ignore[misc]
            metrics.add("changes_sent", 3)
            metrics.update()
            lines = metrics.text().splitlines()
        for line in (
            "segmill_serve_cache_hits_total 7",
            "segmill_serve_changes_sent_total 6",
            "segmill_serve_cache_entries 20",
        ):
            assert line in lines, lines

    def test_workers_are_added_up(self) -> None:
        """Counters that each adds to, and figures that each writes down."""
        metrics = Metrics(("/a", "/b"), 2)
        for hits in (3, 4):
            metrics.join(lambda hits=hits: {"cache_hits": hits})  # type: ignore[misc]
            metrics.answered("/a", 200, 4.0)
            metrics.update()
        metrics.answered("/b", 200, 99_999)
        lines = metrics.text().splitlines()
        for line in (
            'segmill_serve_requests_total{route="/a",status="200"} 2',
            'segmill_serve_request_seconds_bucket{route="/a",le="0.003"} 0',
            'segmill_serve_request_seconds_bucket{route="/a",le="0.005"} 2',
            'segmill_serve_request_seconds_bucket{route="/b",le="5"} 0',
            'segmill_serve_request_seconds_bucket{route="/b",le="+Inf"} 1',
            'segmill_serve_request_seconds_sum{route="/a"} 0.008000',
            "segmill_serve_cache_hits_total 7",
            "segmill_serve_workers 2",
        ):
            assert line in lines, line
