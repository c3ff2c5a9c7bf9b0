"""The live job on real servers: the same results as over files, nothing lost or doubled, no record that stops it."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
import redis

from examples import subscriber, subscriber_from_now
from jobs.stack.stack import Stack
from schemas.rejects import RAW_MAX_BYTES
from tests.cluster.live_jobs import LiveJob, by_customer, folded, lines, live_job, newest_of_each
from tests.cluster.records import records
from tests.cluster.subscribed import settled
from tests.cluster.waiting import until
from tests.end_to_end.segmill_runs import HARD, Run, run, segmill

pytestmark = pytest.mark.cluster

SHOP = msgspec.structs.replace(HARD, events=3_000, customers=200, products=80)

EVENT: dict[str, Any] = {
    "event_id": "e",
    "type": "product_viewed",
    "timestamp": 1_767_225_600_000,
    "customer_id": "c",
    "product_id": "p",
}


@pytest.fixture(scope="class")
def over_files(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("files"), log)


@pytest.fixture(scope="class")
def replayed(stack: Stack, log: Path, over_files: Run) -> Iterator[LiveJob]:
    with live_job(stack, "--parallelism", "2") as job:
        said = segmill("replay", log, "--topic", job.topics.events.name, "--bootstrap", job.bootstrap)
        assert said.returncode == 0, said.stderr
        job.await_all_read()
        as_of_ms = over_files.summary["as_of_ms"]
        until(lambda: min(job.watermarks_ms("item")) > as_of_ms, "the quiet clock passes the last event")
        job.next_checkpoints()
        yield job


class TestReplay:
    """A shuffled log with duplicates and malformed lines, replayed through the topic at parallelism 2."""

    def test_memberships_are_those_of_a_run_over_the_files(self, replayed: LiveJob, over_files: Run) -> None:
        """Whatever was corrected on the way."""
        live = replayed.changes_said()
        as_of_ms = over_files.summary["as_of_ms"]
        expected = folded(lines(over_files.out / "segment-changes.jsonl"))
        assert len(expected) > 50
        assert folded(live, as_of_ms) == expected

    def test_rejected_are_those_of_a_run_over_the_files(self, replayed: LiveJob, over_files: Run) -> None:
        """With the same reasons; nothing was too late."""
        expected = lines(over_files.out / "rejected.jsonl")

        def counted(found: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
            return Counter((one["reason"], one.get("raw", "")[:RAW_MAX_BYTES]) for one in found)

        assert counted(replayed.rejected()) == counted(expected)
        assert len(expected) > 10

    def test_profiles_are_those_of_a_run_over_the_files(
        self, replayed: LiveJob, over_files: Run, tmp_path: Path
    ) -> None:
        """As far as profiles of different times can be compared."""
        exported = segmill(
            "export", "--redis", replayed.redis_url, "--prefix", replayed.prefix, "--out", tmp_path / "live"
        )
        assert exported.returncode == 0, exported.stderr
        told = segmill("verify", tmp_path / "live", over_files.export, "--ignore-as-of", "--only", "profiles", "--json")
        assert told.returncode == 0, told.stdout

    def test_keys_and_headers(self, replayed: LiveJob) -> None:
        """Changes are keyed by customer, in order within each; every record says its schema version."""
        changes = replayed.changes()
        assert all(one.key().decode() == json.loads(one.value())["customer_id"] for one in changes)
        topics = replayed.topics
        for topic in (topics.segment_changes, topics.segment_memberships, topics.events_rejected, topics.similar_items):
            found = records(replayed.bootstrap, topic.name)
            assert found
            assert {tuple(one.headers() or ()) for one in found} == {(("schema-version", b"1"),)}

    def test_no_change_is_said_twice(self, replayed: LiveJob) -> None:
        """Each record has an id of its own."""
        ids = [json.loads(one.value())["change_id"] for one in replayed.changes()]
        assert len(set(ids)) == len(ids)

    def test_memberships_topic(self, replayed: LiveJob) -> None:
        """The newest record of each customer says what all its changes together say."""
        newest = newest_of_each(records(replayed.bootstrap, replayed.topics.segment_memberships.name))
        changes = replayed.changes_said()
        assert {key: one["segments"] for key, one in newest.items()} == by_customer(folded(changes))
        assert all(one["customer_id"] == key and one["as_of_ms"] > 0 for key, one in newest.items())

    def test_subscribers_have_the_memberships_of_the_job(self, replayed: LiveJob) -> None:
        """Both examples, against the sorted sets in Redis, at a checkpoint after which nothing has changed."""
        expected = replayed.memberships_in_redis()
        topics = replayed.topics
        assert len(expected) > 50
        assert settled(subscriber.members(replayed.bootstrap, topics.segment_changes.name)) == expected
        found = settled(subscriber_from_now.members(replayed.bootstrap, topics.segment_memberships.name))
        assert {(who, name): since for who, all_ in found.items() for name, since in all_.items()} == expected

    def test_similar_items_topic(self, replayed: LiveJob) -> None:
        """The newest list of each item is the one in Redis."""
        newest = newest_of_each(records(replayed.bootstrap, replayed.topics.similar_items.name))
        client = redis.Redis.from_url(replayed.redis_url)
        in_redis = {}
        for key in client.scan_iter(f"{replayed.prefix}similar:*"):
            value = msgpack.unpackb(client.get(key))
            if "neighbours" in value:
                in_redis[key.decode().split(":", 1)[1].replace(":", "|", 1)] = value
        assert len(newest) > 20
        assert {key: (one["version"], one["as_of_ms"]) for key, one in newest.items()} == {
            key: (one["version"], one["as_of_ms"]) for key, one in in_redis.items()
        }
        for key, one in newest.items():
            assert [[n["item_id"], n["score"], n["support"]] for n in one["neighbours"]] == in_redis[key]["neighbours"]

    def test_sinks_have_threads_of_their_own(self, replayed: LiveJob) -> None:
        """Below an operator's Python they would hold its lock."""
        tasks = [one["name"] for one in replayed.cluster._ask(f"/jobs/{replayed.job_id}")["vertices"]]
        sinks = ("change-records", "membership-records", "rejected-records", "similar-records")
        for sink in sinks:
            (task,) = [name for name in tasks if f"{sink}[" in name and "Writer" in name]
            assert task.startswith("DataStreamToTable -> "), task

    def test_a_change_of_parallelism_keeps_everything(self, replayed: LiveJob) -> None:
        """Stopped with a savepoint, gone on with from there by one subtask: nothing is said again."""
        before = len(replayed.changes())
        replayed.stop()
        replayed.options = ("--parallelism", "1")
        replayed.submit("--from-savepoint", "latest")
        replayed.next_checkpoints()
        assert replayed.restarts() == 0
        assert len(replayed.changes()) == before
        newest = newest_of_each(records(replayed.bootstrap, replayed.topics.segment_memberships.name))
        changes = replayed.changes_said()
        assert {key: one["segments"] for key, one in newest.items()} == by_customer(folded(changes))


class TestPoison:
    """Whatever stands in the topic, the job goes on, and says what it could not use."""

    def _event(self, **members: Any) -> bytes:
        return json.dumps({**EVENT, **members}).encode()

    def _with(self, raw: bytes, **members: Any) -> bytes:
        """A further member, written as it is."""
        return self._event(**members)[:-1] + b', "x": ' + raw + b"}"

    def pills(self) -> dict[str, tuple[bytes | None, bytes | None, str | None]]:
        """Name: (key, value, reason); without a reason it is applied."""
        deep = b"[" * 100_000 + b"]" * 100_000
        return {
            "good": (b"c", self._event(event_id="good"), None),
            "null key": (None, self._event(event_id="null key"), None),
            "binary key": (b"\xff\x00", self._event(event_id="binary key"), None),
            "signs": (b"c", self._event(event_id="signs", customer_id="\N{GRINNING FACE} ü.[0]'$\"\\"), None),
            "empty customer": (b"c", self._event(event_id="empty", customer_id="", anonymous_id="a"), None),
            "member twice": (b"c", b'{"customer_id": "x",' + self._event(event_id="twice")[1:], None),
            "null value": (b"c", None, "null_value"),
            "empty": (b"c", b"", "malformed_json"),
            "binary": (b"c", bytes(range(256)) * 8, "invalid_utf8"),
            "half text": (b"c", self._event().replace(b'"p"', b'"p\xff"'), "invalid_utf8"),
            "half text in the id": (b"c", self._event().replace(b'"c"', b'"c\xff"'), "invalid_utf8"),
            "10 MB": (b"c", self._event(pad="x" * 10_000_000), "record_too_large"),
            "10 MB of signs of three bytes": (b"c", b'{"a": "' + "€".encode() * 3_000_000, "record_too_large"),
            "10 MB of noughts": (b"c", b"\x00" * 10_000_000, "record_too_large"),
            "3 MB": (b"c", self._event(pad="x" * 3_000_000), "record_too_large"),
            "deep": (b"c", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "malformed_json"),
            "deep in an event": (b"c", self._with(deep), "malformed_json"),
            "long number": (b"c", self._with(b"9" * 5_000), "key_mismatch"),
            "far timestamp": (b"c", self._event(timestamp=10**30), "timestamp_in_future"),
            "number as id": (b"c", self._event(customer_id=17), "wrong_type"),
            "object as id": (b"c", self._event(customer_id={"a": 1}), "wrong_type"),
            "nought in the id": (b"c", self._event(customer_id="a\0b"), "invalid_id"),
            "half a character": (b"c", self._event().replace(b'"c"', b'"\\ud800"'), "invalid_unicode"),
            "long id": (b"c", self._event(customer_id="x" * 600), "id_too_long"),
            "nobody": (b"c", self._event(customer_id=None), "no_subject"),
            "array": (b"c", b"[1, 2]", "not_an_object"),
            "NaN": (b"c", b"NaN", "malformed_json"),
            "two objects": (b"c", self._event() + self._event(), "malformed_json"),
            "byte order mark": (b"c", b"\xef\xbb\xbf" + self._event(), "malformed_json"),
        }

    def test_every_pill(self, stack: Stack) -> None:
        """Rejected with reason, partition and offset, or applied; the job never restarts."""
        with live_job(stack) as job:
            pills = self.pills()
            job.produce(*((key, value, EVENT["timestamp"]) for key, value, _ in pills.values()))
            job.produce((b"c", self._event(event_id="last"), EVENT["timestamp"] + 1))
            job.await_all_read()
            assert job.restarts() == 0
            name = job.topics.events.name
            stood = {(one.partition(), one.offset()): one.value() for one in records(job.bootstrap, name)}
            rejected = job.rejected()
            assert Counter(one["reason"] for one in rejected) == Counter(
                reason for _, _, reason in pills.values() if reason
            )
            for one in rejected:
                value = stood[one["partition"], one["offset"]]
                assert one["topic"] == name
                assert one["place"] == f"{name}:{one['partition']}:{one['offset']}"
                self._holds(one, value or b"")
            profile = msgpack.unpackb(redis.Redis.from_url(job.redis_url).get(f"{job.prefix}profile:c"))
            assert profile["features"]["views_90d"] >= 1

    @staticmethod
    def _holds(rejected: dict[str, Any], value: bytes) -> None:
        """All of the record, or as much of its beginning as fits."""
        if len(value) <= RAW_MAX_BYTES:
            assert "raw_bytes" not in rejected
            assert "raw_base64" in rejected or rejected["raw"].encode() == value
        else:
            assert rejected["raw_bytes"] == len(value)
            assert value.startswith(rejected["raw"].encode())
            assert RAW_MAX_BYTES - 4 < len(rejected["raw"].encode()) <= RAW_MAX_BYTES


class TestQuietTopic:
    """Customers leave by time alone although nothing arrives."""

    STAY_MS = 12_000
    RULES = """
name = "quick"

[segments.here]
description = "Did something in the last twelve seconds."
when = "since_last_seen_ms < minutes(0.2)"
"""

    def _view(self, customer: str, time_ms: int) -> tuple[bytes, bytes, int]:
        event = {"event_id": f"{customer}-{time_ms}", "type": "product_viewed", "timestamp": time_ms}
        event |= {"customer_id": customer, "product_id": "p"}
        return customer.encode(), json.dumps(event).encode(), time_ms

    def _said(self, job: LiveJob) -> list[tuple[str, str, int]]:
        said = job.changes_said()
        return sorted((one["customer_id"], one["change"], one["at_ms"]) for one in said)

    def test_exits_by_time(self, stack: Stack, tmp_path: Path) -> None:
        """To the millisecond; after a stop, too, which lasted beyond the time of the exit."""
        rules = tmp_path / "rules.toml"
        rules.write_text(self.RULES, encoding="utf-8")
        with live_job(stack, "--rules", str(rules)) as job:
            first_ms = time.time_ns() // 1_000_000
            job.produce(self._view("a", first_ms))
            until(lambda: len(self._said(job)) >= 2, "a has left")
            assert self._said(job) == [("a", "entered", first_ms), ("a", "left", first_ms + self.STAY_MS)]
            second_ms = time.time_ns() // 1_000_000
            job.produce(self._view("b", second_ms))
            until(lambda: len(self._said(job)) >= 3, "b has entered")
            job.stop()
            time.sleep(max(0.0, (second_ms + self.STAY_MS) / 1000 + 1 - time.time()))
            job.submit("--from-savepoint", "latest")
            until(lambda: len(self._said(job)) >= 4, "b has left")
            assert self._said(job)[2:] == [("b", "entered", second_ms), ("b", "left", second_ms + self.STAY_MS)]
            assert job.restarts() == 0

    def test_a_replay_that_pauses(self, stack: Stack, tmp_path: Path) -> None:
        """The time of the log goes on at the pace of the clock; nothing jumps to now."""
        rules = tmp_path / "rules.toml"
        rules.write_text(self.RULES, encoding="utf-8")
        then_ms = 1_740_787_200_000
        with live_job(stack, "--rules", str(rules)) as job:
            job.produce(self._view("a", then_ms))
            until(lambda: len(self._said(job)) >= 2, "a has left")
            job.produce(self._view("b", then_ms + 1_000), self._view("c", then_ms + 600_000))
            until(lambda: len(self._said(job)) >= 5, "b has left")
            job.await_all_read()
            assert self._said(job)[2:] == [
                ("b", "entered", then_ms + 1_000),
                ("b", "left", then_ms + 1_000 + self.STAY_MS),
                ("c", "entered", then_ms + 600_000),
            ]
            assert job.rejected() == []
