"""`segmill forward` between a real broker and a real HTTP server."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from jobs.forward.endpoint import Endpoint
from jobs.forward.errors import ForwardProblem
from jobs.forward.forward import ForwardPlan, Report, forward
from jobs.kafka_client import KafkaTarget
from jobs.stopping import Stop
from tests.cluster.receiver import SECRET, SECRET_BYTES, Hook, Receiver, receiving
from tests.cluster.records import new_topic, produce, records
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

CUSTOMERS = 20


def numbered(count: int, start: int = 0) -> list[tuple[str, bytes]]:
    """Records of some customers, each with its number."""
    return [(f"c{n % CUSTOMERS}", json.dumps({"customer_id": f"c{n % CUSTOMERS}", "number": n}).encode())
            for n in range(start, start + count)]  # fmt: skip


@pytest.fixture
def topic(bootstrap: str) -> str:
    """With four partitions."""
    return new_topic(bootstrap, "forwarded", partitions=4)


class Running:
    """A forwarder in a thread."""

    def __init__(self, bootstrap: str, topic: str, url: str, **changes: Any) -> None:
        self.stop, self.reports = Stop(), list[Report]()
        self.result: Report | BaseException | None = None
        settings = {
            "group": topic, "dead_letters": f"{topic}-dead", "workers": 8, "retry_for_s": 60.0, "timeout_s": 5.0,
            "starting": "earliest", "report_every_s": 0.5,
        } | changes  # fmt: skip
        plan = ForwardPlan(topic=topic, **settings)

        def run() -> None:
            endpoint = Endpoint(url, [SECRET_BYTES], plan.workers, plan.timeout_s)
            try:
                self.result = forward(plan, KafkaTarget(bootstrap), endpoint, self.stop, self.reports.append)
            except BaseException as error:  # noqa: BLE001  (the test looks at it)
                self.result = error
            endpoint.close()

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def end(self) -> Report:
        self.stop.ask(0)
        self.thread.join(60)
        assert not self.thread.is_alive()
        assert isinstance(self.result, Report), self.result
        return self.result


@contextmanager
def running(bootstrap: str, topic: str, url: str, **changes: Any) -> Iterator[Running]:
    one = Running(bootstrap, topic, url, **changes)
    try:
        yield one
    finally:
        one.stop.ask(0)
        one.thread.join(60)


def committed(bootstrap: str, topic: str) -> int:
    """Records before the group's offsets, in all partitions."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "log_level": 0})
    try:
        places = consumer.committed([TopicPartition(topic, number) for number in range(4)], timeout=30)
    finally:
        consumer.close()
    return sum(max(0, place.offset) for place in places)


def check_complete(receiver: Receiver, count: int) -> None:
    """Everything came, signed, and in order for each customer.

    A stretch may come again, but then all of it: after a repetition no record is left out.
    """
    assert {hook.body["number"] for hook in receiver.accepted} == set(range(count))
    assert all(hook.signed for hook in receiver.seen)
    for number in range(CUSTOMERS):
        came = receiver.of(f"c{number}")
        assert (came[0], came[-1]) == (number, max(came))
        assert all(following <= before + CUSTOMERS for before, following in pairwise(came)), came


class TestDelivery:
    def test_in_order_and_once_despite_failures(self, bootstrap: str, topic: str) -> None:
        """A fifth of the attempts fail; nothing is lost, overtaken or doubled; the next call has nothing to do."""
        draw = random.Random(7)
        produce(bootstrap, topic, *numbered(400))
        with receiving(lambda hook: (503 if draw.random() < 0.2 else 200, {})) as receiver:
            with running(bootstrap, topic, receiver.url) as one:
                until(lambda: len(receiver.accepted) >= 400)
                report = one.end()
            check_complete(receiver, 400)
            assert len(receiver.accepted) == 400
            assert (report.delivered, report.dead, report.under_way, report.lag) == (400, 0, 0, 0)
            assert report.failed_attempts == len(receiver.seen) - 400 > 0
            assert committed(bootstrap, topic) == 400
            with running(bootstrap, topic, receiver.url) as again:
                produce(bootstrap, topic, *numbered(20, start=400))
                until(lambda: len(receiver.accepted) >= 420)
                assert again.end().delivered == 20
            check_complete(receiver, 420)

    def test_an_attempt_is_signed_anew_under_the_same_id(self, bootstrap: str, topic: str) -> None:
        """So a receiver can refuse old requests, and drop repetitions."""
        produce(bootstrap, topic, *numbered(1))
        answers = iter([503, 503, 200])
        with receiving(lambda hook: (next(answers), {"retry-after": "1"})) as receiver:
            with running(bootstrap, topic, receiver.url):
                until(lambda: len(receiver.accepted) == 1)
            assert len({hook.id for hook in receiver.seen}) == 1
            assert all(hook.signed for hook in receiver.seen)
            times = [int(hook.headers["webhook-timestamp"]) for hook in receiver.seen]
            assert times[2] - times[0] >= 2

    def test_a_receiver_that_is_away_and_one_that_is_slow(self, bootstrap: str, topic: str) -> None:
        """Both are tried again."""
        produce(bootstrap, topic, *numbered(20))
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            port = reserved.getsockname()[1]
        slow = iter([True])

        def answer(hook: Hook) -> tuple[int, dict[str, str]]:
            if next(slow, False):
                time.sleep(2)
            return 200, {}

        with running(bootstrap, topic, f"http://127.0.0.1:{port}/", timeout_s=0.5) as one:
            until(lambda: any(report.failed_attempts > 3 for report in one.reports))
            with receiving(answer, port) as receiver:
                until(lambda: {hook.body["number"] for hook in receiver.accepted} == set(range(20)))
                one.end()
                check_complete(receiver, 20)

    def test_aborted_records_are_not_sent(self, bootstrap: str, topic: str) -> None:
        """As if they had never been."""
        producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic, "log_level": 0})
        producer.init_transactions(30)
        for abort, start in ((True, 1_000), (False, 0)):
            producer.begin_transaction()
            for key, value in numbered(20, start):
                producer.produce(topic, value, key)
            producer.flush(30)
            if abort:
                producer.abort_transaction(30)
            else:
                producer.commit_transaction(30)
        with receiving() as receiver:
            with running(bootstrap, topic, receiver.url):
                until(lambda: len(receiver.accepted) >= 20)
                time.sleep(0.5)
            check_complete(receiver, 20)

    def test_latest_leaves_no_gap(self, bootstrap: str, topic: str) -> None:
        """The place where a new group began is kept, even if nothing came before it ended."""
        produce(bootstrap, topic, *numbered(40))
        with receiving() as receiver:
            with running(bootstrap, topic, receiver.url, starting="latest"):
                until(lambda: committed(bootstrap, topic) == 40)
            produce(bootstrap, topic, *numbered(20, start=40))
            with running(bootstrap, topic, receiver.url, starting="latest"):
                until(lambda: len(receiver.accepted) >= 20)
            assert sorted(hook.body["number"] for hook in receiver.accepted) == list(range(40, 60))


class TestDeadLetters:
    def test_what_is_refused(self, bootstrap: str, topic: str) -> None:
        """Is kept as it was, with the reason; the others go on."""
        produce(bootstrap, topic, *numbered(60))
        refuse = receiving(lambda hook: (422 if hook.body["number"] % 10 == 3 else 200, {}))
        with refuse as receiver, running(bootstrap, topic, receiver.url) as one:
            until(lambda: len(receiver.accepted) == 54 and committed(bootstrap, topic) == 60)
            report = one.end()
        assert (report.delivered, report.dead) == (54, 6)
        letters = records(bootstrap, f"{topic}-dead")
        assert {(m.key(), m.value()) for m in letters} == {
            (key.encode(), value) for key, value in numbered(60) if json.loads(value)["number"] % 10 == 3
        }
        why = dict(letters[0].headers())
        assert (why["dead-letter-reason"], why["dead-letter-status"], why["dead-letter-attempts"]) == (
            b"status 422",
            b"422",
            b"1",
        )
        assert why["dead-letter-source"].decode().startswith(f"{topic}:")
        assert why["schema-version"] == b"1"

    def test_what_fails_for_too_long(self, bootstrap: str, topic: str) -> None:
        """Is not in the way for ever."""
        produce(bootstrap, topic, *numbered(2))
        fail = receiving(lambda hook: (500 if hook.body["number"] == 0 else 200, {}))
        with fail as receiver, running(bootstrap, topic, receiver.url, retry_for_s=1.0):
            until(lambda: committed(bootstrap, topic) == 2)
        (letter,) = records(bootstrap, f"{topic}-dead")
        assert dict(letter.headers())["dead-letter-reason"].startswith(b"status 500, given up after")

    def test_gone_stops_it(self, bootstrap: str, topic: str) -> None:
        """And commits nothing of what was not delivered."""
        produce(bootstrap, topic, *numbered(20))
        with receiving(lambda hook: (410, {})) as receiver:
            with running(bootstrap, topic, receiver.url) as one:
                one.thread.join(60)
            assert isinstance(one.result, ForwardProblem)
        assert committed(bootstrap, topic) == 0
        assert records(bootstrap, f"{topic}-dead") == []


class TestGroups:
    def test_a_second_one_takes_over_in_order(self, bootstrap: str, topic: str) -> None:
        """Partitions move while records are on their way and fail: none is overtaken by a later one of its customer."""
        draw = random.Random(3)

        def answer(hook: Hook) -> tuple[int, dict[str, str]]:
            time.sleep(1 if draw.random() < 0.1 else 0.01)
            return (503 if draw.random() < 0.05 else 200), {}

        produce(bootstrap, topic, *numbered(600))
        with receiving(answer) as receiver, running(bootstrap, topic, receiver.url, workers=4) as one:
            until(lambda: len(receiver.accepted) > 50)
            with running(bootstrap, topic, receiver.url, workers=4) as other:
                until(lambda: any(report.delivered for report in other.reports))
                one.end()
                until(lambda: {hook.body["number"] for hook in receiver.accepted} == set(range(600)))
                other.end()
            check_complete(receiver, 600)


class TestProcess:
    def command(self, bootstrap: str, topic: str, url: str, *more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", "from jobs.cli import main; main()", "forward", "--bootstrap", bootstrap, *more,
             "--topic", topic, "--group", topic, "--url", url, "--report-every", "0.5", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "SEGMILL_WEBHOOK_SECRET": SECRET, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip

    def test_kill_9_repeats_but_never_omits(self, bootstrap: str, topic: str, tmp_path: Path) -> None:
        """What had not been committed comes again, under the same ids and in order."""
        produce(bootstrap, topic, *numbered(600))
        config = tmp_path / "client.properties"
        config.write_text("session.timeout.ms=6000\n", encoding="utf-8")  # of 45 s, until the group gives up the dead

        def answer(hook: Hook) -> tuple[int, dict[str, str]]:
            time.sleep(0.01)
            return 200, {}

        with receiving(answer) as receiver:
            with self.command(bootstrap, topic, receiver.url, "--kafka-config", str(config)) as process:
                until(lambda: len(receiver.accepted) > 250)
                process.kill()
                process.wait(10)
            with self.command(bootstrap, topic, receiver.url, "--kafka-config", str(config)) as process:
                until(lambda: {hook.body["number"] for hook in receiver.accepted} == set(range(600)))
                process.send_signal(signal.SIGTERM)
                out, err = process.communicate(timeout=30)
            assert process.returncode == 0, err
            check_complete(receiver, 600)
            ids = Counter(hook.id for hook in receiver.accepted)
            assert len(ids) == 600
            assert json.loads(out.splitlines()[-1])["under_way"] == 0
            assert SECRET not in out + err

    def test_ctrl_c_finishes_what_is_under_way(self, bootstrap: str, topic: str) -> None:
        """What was delivered is committed, to the record, although requests were open."""
        produce(bootstrap, topic, *numbered(400))

        def answer(hook: Hook) -> tuple[int, dict[str, str]]:
            time.sleep(0.05)
            return 200, {}

        with receiving(answer) as receiver, self.command(bootstrap, topic, receiver.url) as process:
            until(lambda: len(receiver.accepted) > 60)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
            assert process.returncode == 130
            with self.command(bootstrap, topic, receiver.url) as second:
                until(lambda: {hook.body["number"] for hook in receiver.accepted} == set(range(400)))
                second.send_signal(signal.SIGTERM)
                second.communicate(timeout=30)
            check_complete(receiver, 400)
            assert len(receiver.accepted) == 400
