"""POST /v1/events and GET /v1/changes with a real Kafka."""

import http.client
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import requests
import schemathesis
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import HealthCheck, given, settings

from jobs.runtime.valkey import EmbeddedValkey
from jobs.topics import Topics
from serving.change_position import parse_position
from tests.cluster.records import new_topic, produce, records
from tests.cluster.waiting import until
from tests.jobs.cli_runs import call, event, log
from tests.serving.served import Served, serve
from tests.serving.small_shop import fill
from tests.serving.test_contract import DOCUMENT, check_shape, positions
from tests.serving.test_workers import children

pytestmark = pytest.mark.cluster


class Shop(NamedTuple):
    """A server with topics of its own."""

    served: Served
    bootstrap: str
    events: str
    changes: str


@pytest.fixture(scope="module")
def shop(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for most tests."""
    with opened(bootstrap, tmp_path_factory.mktemp("valkey"), SEGMILL_SERVE_MAX_STREAMS="2") as shop:
        yield shop


@pytest.fixture
def own_shop(bootstrap: str, tmp_path: Path) -> Iterator[Shop]:
    """One whose topics may be spoiled."""
    with opened(bootstrap, tmp_path) as shop:
        yield shop


@contextmanager
def opened(bootstrap: str, folder: Path, **environment: str) -> Iterator[Shop]:
    """A server with topics of two partitions each."""
    prefix = f"serving-{uuid4().hex[:8]}-"
    topics = Topics(prefix)
    names = (topics.events.name, topics.segment_changes.name)
    make(admin_of(bootstrap), *names)
    with EmbeddedValkey(folder) as valkey:
        fill(valkey.url)
        with serve("--without-keys", "--redis", valkey.url, "--bootstrap", bootstrap, "--topic-prefix", prefix,
                   SEGMILL_SERVE_HEARTBEAT_S="0.3", SEGMILL_SERVE_MAX_BODY_BYTES="200000",
                   **environment) as served:  # fmt: skip
            served.until("/readyz", 200)
            yield Shop(served, bootstrap, *names)


def admin_of(bootstrap: str) -> AdminClient:
    """For what the server may not do."""
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def make(admin: AdminClient, *names: str) -> None:
    """Topics of two partitions that keep everything."""
    made = admin.create_topics([NewTopic(name, 2, 1, config={"retention.ms": "-1"}) for name in names])
    for future in made.values():
        future.result(60)


def keyed(messages: list[Message]) -> set[tuple[Any, ...]]:
    """What the job sees of them."""
    return {(one.partition(), one.key(), one.value(), one.timestamp()[1], str(one.headers())) for one in messages}


class TestIntake:
    def test_good_ones_are_there_as_replay_writes_them(self, shop: Shop, tmp_path: Path, capsys: Any) -> None:
        """Partition, key, bytes, time and headers; bad ones are told by their place and reason."""
        good = [event(number, f"c-{number % 5}", number) for number in range(40)]
        good.append(event(50, "", 3, anonymous_id="ä"))
        bad = [{"event_id": "x"}, event(51, "", 1), event(52, "c", 10**15), 7]
        batch = [*good[:20], *bad, *good[20:]]
        got = shop.served.ask("/v1/events", "POST", {"events": batch})
        assert (got.status, got.json["accepted"], got.json["rejected"]) == (200, len(good), len(bad))
        rejected = {item["index"]: item["reason"] for item in got.json["items"] if item["status"] == "rejected"}
        assert rejected == {20: "missing_field", 21: "no_subject", 22: "timestamp_in_future", 23: "not_an_object"}
        other = new_topic(shop.bootstrap, "replayed", retention__ms="-1")
        path = log(tmp_path / "log.jsonl", *(json.dumps(one).encode() for one in good))
        assert call(capsys, "replay", path, "--topic", other, "--bootstrap", shop.bootstrap).code == 0
        assert keyed(records(shop.bootstrap, shop.events)) == keyed(records(shop.bootstrap, other))

    @pytest.mark.parametrize(
        ("body", "status", "word"),
        [
            (b"{", 400, "malformed-body"), (b"", 400, "malformed-body"), (b"\xff", 400, "malformed-body"),
            (b'{"events": [' + b"[" * 100_000, 400, "malformed-body"),
            (b"[]", 422, "unusable-body"), (b"{}", 422, "unusable-body"),
            (b'{"events": {}}', 422, "unusable-body"), (b'{"events": []}', 422, "unusable-body"),
            (b'{"events": [' + b"1," * 500 + b"1]}", 422, "unusable-body"), (b'{"events": [1]}', 422, "unusable-body"),
            (b" " * 200_001, 413, "body-too-large"),
        ],
    )  # fmt: skip
    def test_bodies_that_cannot_be_used(self, shop: Shop, body: bytes, status: int, word: str) -> None:
        """Nothing of them is written."""
        got = shop.served.ask("/v1/events", "POST", body, content_type="application/json; charset=utf-8")
        assert (got.status, got.json["type"].rpartition(":")[2]) == (status, word)

    def test_a_body_of_another_type(self, shop: Shop) -> None:
        """A form of a foreign web page can send text, but not JSON."""
        assert shop.served.ask("/v1/events", "POST", b"{}", content_type="text/plain").status == 415

    def test_the_contract(self, shop: Shop) -> None:
        """Bodies generated from the document, good and bad."""
        operation = schemathesis.openapi.from_url(shop.served.url + "/v1/openapi.json")["/v1/events"]["POST"]
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(max_examples=40, deadline=None, derandomize=True, database=None,
                      suppress_health_check=list(HealthCheck))  # fmt: skip
            def asked(case: Any) -> None:
                answer = case.call()
                case.validate_response(answer, excluded_checks=[*_of_right_data()])
                assert answer.status_code < 500

            asked()


def _of_right_data() -> Iterator[Any]:
    """Whether an event is right no schema says, so a batch of wrong ones is refused."""
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    yield positive_data_acceptance


class Reader:
    """A client of server-sent events."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer
        self.id = ""
        """Of the last event, as a browser keeps it."""
        self.begin: dict[str, str] = {}
        """The first block."""

    @property
    def missing(self) -> dict[int, tuple[str, int, int | None]]:
        """What the stream says is missing: reason, asked and next offset by partition."""
        if "event" not in self.begin:
            return {}
        assert self.begin["event"] == "gap"
        told = json.loads(self.begin["data"])["partitions"]
        return {one["partition"]: (one["reason"], one["asked"], one["next"]) for one in told}

    def ids(self) -> Iterator[str]:
        """The id after each empty line."""
        for block in self.blocks():
            yield block.get("id", "")

    def blocks(self) -> Iterator[dict[str, str]]:
        """Fields of each block."""
        fields: dict[str, str] = {}
        while line := self._answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
            elif fields:
                self.id = fields.get("id", self.id)
                yield fields
                fields = {}

    def changes(self, count: int) -> list[dict[str, Any]]:
        """So many changes."""
        found: list[dict[str, Any]] = []
        for block in self.blocks():
            if "data" in block:
                found.append(json.loads(block["data"]))
                if len(found) == count:
                    return found
        raise AssertionError(f"the stream ended after {found}")


@contextmanager
def stream(shop: Shop, query: str = "", last: str | None = None) -> Iterator[Reader]:
    """An open stream whose first block, the position where it begins, has come."""
    connection = http.client.HTTPConnection(shop.served.host, shop.served.port, timeout=60)
    try:
        connection.request("GET", "/v1/changes" + query, headers={"last-event-id": last} if last is not None else {})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("content-type")) == (200, "text/event-stream")
        reader = Reader(answer)
        reader.begin = next(reader.blocks())
        assert "id" in reader.begin
        yield reader
    finally:
        connection.close()


def change(number: int, segment: str = "regulars") -> dict[str, Any]:
    """As the job writes one, as far as it matters here."""
    return {"change_id": str(number), "customer_id": f"c-{number % 9}", "segment": segment, "change": "entered"}


def write(shop: Shop, *changes: dict[str, Any]) -> None:
    """Into the topic."""
    produce(shop.bootstrap, shop.changes, *((one["customer_id"], json.dumps(one).encode()) for one in changes))


def status_of(shop: Shop, case: Any) -> int:
    """Of a stream, whose beginning is waited for, or of a problem as the document describes it."""
    until(lambda: _streams(shop) == 0, "earlier streams have ended")
    request = case.as_transport_kwargs(base_url=shop.served.url)
    with requests.request(**request, stream=True, timeout=60) as answer:
        status: int = answer.status_code
        if status == 200:
            assert answer.headers["content-type"] == "text/event-stream"
            assert next(answer.iter_lines()) == b"retry: 1000"
        else:
            responses = DOCUMENT["paths"]["/v1/changes"]["get"]["responses"]
            check_shape(responses[str(status)], answer.headers["content-type"], answer.content)
    return status


def _records_before(identity: str) -> int:
    """In all partitions of a topic that keeps everything."""
    return sum(parse_position(identity).offsets.values())


class TestChanges:
    def test_a_stream_that_was_cut_goes_on_where_it_was(self, shop: Shop) -> None:
        """Wherever it is cut: over both partitions nothing is missing and nothing comes twice."""
        with stream(shop) as reader:
            write(shop, *(change(number) for number in range(60)))
            seen = [one["change_id"] for one in reader.changes(23)]
        for count in (17, 20):
            with stream(shop, last=reader.id) as reader:
                seen += [one["change_id"] for one in reader.changes(count)]
        assert sorted(seen, key=int) == [str(number) for number in range(60)]

    def test_one_that_saw_nothing_goes_on_too(self, shop: Shop) -> None:
        """Where it began is told at once, and signs of life move on with the topic."""
        with stream(shop, "?segment=vip") as reader:
            began = reader.id
            write(shop, change(100), change(101, "lapsing"))
            behind_both = _records_before(began) + 2
            next(identity for identity in reader.ids() if identity and _records_before(identity) == behind_both)
        with stream(shop, last=reader.id) as later:
            write(shop, change(102), change(103, "vip"))
            assert sorted(one["change_id"] for one in later.changes(2)) == ["102", "103"]
        with stream(shop, "?segment=vip&segment=lapsing", last=began) as again:
            write(shop, change(104, "vip"))
            assert sorted(one["change_id"] for one in again.changes(3)) == ["101", "103", "104"]

    def test_from_the_beginning(self, shop: Shop) -> None:
        """Of the topic."""
        write(shop, change(200))
        with stream(shop, "?starting=earliest") as reader:
            assert len(reader.changes(60)) == 60

    def test_there_are_so_many_and_no_more(self, shop: Shop) -> None:
        """One that ends makes room."""
        until(lambda: _streams(shop) == 0, "earlier streams have ended")
        with stream(shop), stream(shop):
            assert shop.served.ask("/v1/changes").status == 503
        until(lambda: _streams(shop) == 0, "streams whose clients went have ended")
        with stream(shop):
            pass

    def test_a_foreign_id_is_refused(self, shop: Shop) -> None:
        """Before anything is read."""
        got = shop.served.ask("/v1/changes", last_event_id="yesterday")
        assert (got.status, got.json["errors"][0]["where"]) == (400, "Last-Event-ID")

    def test_the_contract(self, shop: Shop) -> None:
        """Requests generated from the document, good and bad ones: a stream begins, or it is said what is wrong."""
        operation = schemathesis.openapi.from_url(shop.served.url + "/v1/openapi.json")["/v1/changes"]["GET"]
        statuses: dict[Any, set[int]] = {}
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            statuses[mode] = seen = set()

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(max_examples=20, deadline=None, derandomize=True, database=None,
                      suppress_health_check=list(HealthCheck))  # fmt: skip
            def asked(case: Any) -> None:
                seen.add(status_of(shop, case))  # noqa: B023  (called right here)

            asked()
        assert statuses[schemathesis.GenerationMode.POSITIVE] == {200}
        assert 400 in statuses[schemathesis.GenerationMode.NEGATIVE] <= {200, 400}

    def test_positions_of_all_kinds(self, shop: Shop) -> None:
        """A stream begins there, with a gap if need be, or the position is refused."""
        for position in list(positions(random.Random(2)))[:60]:
            until(lambda: _streams(shop) == 0, "earlier streams have ended")
            connection = http.client.HTTPConnection(shop.served.host, shop.served.port, timeout=60)
            try:
                connection.request("GET", "/v1/changes", headers={"last-event-id": position.encode()})
                answer = connection.getresponse()
                assert answer.status in (200, 400), position
                assert answer.readline() == b"retry: 1000\n" or answer.status == 400
            finally:
                connection.close()

    def test_the_server_ends_with_streams_open(self, shop: Shop, tmp_path: Path) -> None:
        """Soon, and cleanly."""
        options = ("--without-keys", "--redis", f"unix://{tmp_path}/none", "--bootstrap", shop.bootstrap)
        with serve(*options, "--topic-prefix", shop.changes.removesuffix("segment-changes")) as served:
            other = Shop(served, *shop[1:])
            opened = stream(other)
            opened.__enter__()
        # serve() has waited for a clean end


class TestGaps:
    def test_what_has_expired_is_told(self, own_shop: Shop) -> None:
        """And the stream goes on with what there is; the next time nothing is missing."""
        write(own_shop, *(change(number) for number in range(40)))
        with stream(own_shop, "?starting=earliest") as reader:
            assert reader.missing == {}
            reader.changes(7)
        asked = parse_position(reader.id)
        ends = expire(own_shop)
        with stream(own_shop, last=reader.id) as later:
            assert later.missing == {
                partition: ("expired", asked.offsets[partition], end) for partition, end in ends.items()
            }
            write(own_shop, *(change(number) for number in range(40, 50)))
            assert {one["change_id"] for one in later.changes(10)} == {str(number) for number in range(40, 50)}
        with stream(own_shop, last=later.begin["id"]) as again:
            assert again.missing == {}
            assert len(again.changes(10)) == 10

    @pytest.mark.parametrize("more", [5, 300])
    def test_a_topic_that_was_made_anew_is_told(self, own_shop: Shop, more: int) -> None:
        """Whether or not it is longer by now than the one before: all of it is new."""
        write(own_shop, *(change(number) for number in range(90)))
        with stream(own_shop, "?starting=earliest") as reader:
            reader.changes(90)
        make_anew(own_shop)
        write(own_shop, *(change(number) for number in range(1000, 1000 + more)))
        with stream(own_shop, last=reader.id) as later:
            assert {reason for reason, _, _ in later.missing.values()} == {"recreated"}
            assert {one["change_id"] for one in later.changes(more)} == {str(1000 + number) for number in range(more)}
        without_topic = reader.id.partition("@")[0]
        with stream(own_shop, last=without_topic) as other:  # of a server that did not name the topic
            assert {reason for reason, _, _ in other.missing.values()} == ({"beyond-end"} if more == 5 else set())

    def test_a_stream_of_a_topic_that_is_made_anew_ends(self, own_shop: Shop) -> None:
        """Soon, though there is something at the same place again: the records before that it would pass over."""
        write(own_shop, *(change(number) for number in range(20)))
        with stream(own_shop, "?starting=earliest") as reader:
            reader.changes(20)
            make_anew(own_shop)
            write(own_shop, *(change(number) for number in range(100, 180)))
            until_s = time.monotonic() + 30
            for _ in reader.blocks():  # until the stream ends
                assert time.monotonic() < until_s
        with stream(own_shop, last=reader.id) as later:
            assert {reason for reason, _, _ in later.missing.values()} == {"recreated"}
            assert {one["change_id"] for one in later.changes(80)} == {str(number) for number in range(100, 180)}

    def test_a_stream_that_falls_behind_what_is_kept_ends(self, own_shop: Shop) -> None:
        """And is told when it comes again, as its client does by itself."""
        with stream(own_shop) as reader:
            write(own_shop, change(1))
            reader.changes(1)
            workers = children(own_shop.served.process.pid)
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            try:
                for number in range(2, 12):  # one after the other: what was asked for comes with the first ones
                    write(own_shop, *(change(number * 10 + step) for step in range(10)))
                ends = expire(own_shop)
            finally:
                for pid in workers:
                    os.kill(pid, signal.SIGCONT)
            until_s = time.monotonic() + 30
            for _ in reader.blocks():  # until the stream ends
                assert time.monotonic() < until_s
        with stream(own_shop, last=reader.id) as later:
            assert "expired" in {reason for reason, _, _ in later.missing.values()}
            assert parse_position(later.begin["id"]).offsets == ends


def make_anew(shop: Shop) -> None:
    """The topic of changes is deleted, and another one of its name is made."""
    admin = admin_of(shop.bootstrap)
    admin.delete_topics([shop.changes])[shop.changes].result(60)

    def partitions() -> int:
        """The broker hears later of it than the controller."""
        found = admin.list_topics(timeout=60).topics.get(shop.changes)
        return 0 if found is None else len(found.partitions)

    until(lambda: partitions() == 0, "it is gone")
    make(admin, shop.changes)
    until(lambda: partitions() == 2, "it is there")


def expire(shop: Shop) -> dict[int, int]:
    """Nothing that is in the topic now is kept; returns where each partition ends."""
    consumer = Consumer({"bootstrap.servers": shop.bootstrap, "group.id": "tests-ends", "log_level": 0})
    try:
        ends = {
            number: consumer.get_watermark_offsets(TopicPartition(shop.changes, number), 60)[1] for number in (0, 1)
        }
    finally:
        consumer.close()
    partitions = [TopicPartition(shop.changes, number, end) for number, end in ends.items()]
    admin = admin_of(shop.bootstrap)  # whose answers come as long as it is there
    for future in admin.delete_records(partitions).values():
        future.result(60)
    return ends


class TestClosing:
    def test_many_streams_whose_clients_go_at_once(self, bootstrap: str, tmp_path: Path) -> None:
        """While changes come all the time; again and again, and at last with the server."""
        with opened(bootstrap, tmp_path, SEGMILL_SERVE_MAX_STREAMS="16") as shop:
            for turn in range(3):
                with ExitStack() as streams:
                    readers = [streams.enter_context(stream(shop)) for _ in range(16)]
                    write(shop, *(change(turn * 100 + number) for number in range(40)))
                    assert len(readers[turn].changes(5)) == 5
                until(lambda: _streams(shop) == 0, "streams whose clients went have ended")
            last = [stream(shop) for _ in range(16)]
            for one in last:
                one.__enter__()
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 4  # it ended by itself: Granian ends a worker after five seconds


def _streams(shop: Shop) -> float:
    lines = shop.served.ask("/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith("segmill_serve_streams ")).split()[1])
