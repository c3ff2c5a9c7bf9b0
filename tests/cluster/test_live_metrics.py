"""What Prometheus would scrape of a live job: every event with its outcome, and how long changes took."""

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import Producer

from jobs.stack.stack import Stack
from tests.cluster.ports import free_plan
from tests.end_to_end.segmill_runs import segmill

pytestmark = pytest.mark.cluster

GROUP = "flink_taskmanager_job_task_operator_segmill_"
PATIENCE_S = 120.0
CUSTOMERS = 40
ALERTS = Path(__file__).parents[2] / "flink-conf" / "prometheus" / "alerts.yaml"


@dataclass(frozen=True, slots=True)
class Scrapes:
    """The reporters of a stack."""

    stack: Stack

    def text(self) -> str:
        """All of them, one after the other."""
        plan = self.stack.plan
        return "\n".join(
            _get(f"http://127.0.0.1:{plan.metrics_port + at}/metrics") for at in range(plan.task_managers + 1)
        )

    def total(self, name: str, **labels: str) -> float:
        """Sum over all series that have these labels."""
        return sum(values(self.text(), name, **labels))


def values(text: str, name: str, **labels: str) -> list[float]:
    found = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", text, re.MULTILINE)
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return [float(value) for series, value in found if all(label in series for label in wanted)]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.5)


def event(customer: int, number: int, now_ms: int) -> dict[str, Any]:
    return {
        "event_id": f"e-{customer}-{number}", "type": "order_completed", "timestamp": now_ms,
        "customer_id": f"somebody-{customer}", "order_id": f"o-{customer}-{number}", "total": 5,
    }  # fmt: skip


@pytest.fixture(scope="module")
def scrapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrapes]:
    """A stack of its own with metrics, a job, and events of now: orders, one of them twice, and two broken records."""
    stack = Stack(tmp_path_factory.mktemp("stack"), owned=True)
    try:
        plan = free_plan(task_managers=2)
        stack.up(plan.changed(metrics_port=plan.redis_port + 5))
        submit(stack)
        produce(stack)
        scrapes = Scrapes(stack)
        until(lambda: scrapes.total(f"{GROUP}outcome_events") >= CUSTOMERS * 5 + 3, "all events are counted")
        until(lambda: scrapes.total(f"{GROUP}result_redis_writes", result="applied") >= CUSTOMERS, "Redis is written")
        yield scrapes
    finally:
        stack.down(wipe=True)


def submit(stack: Stack) -> None:
    plan = stack.plan
    made = segmill("topics", "create", "--bootstrap", plan.bootstrap, "--partitions", 4)
    assert made.returncode == 0, made.stderr
    said = segmill(
        *("submit", "segments", "--json", "--bootstrap", plan.bootstrap, "--flink", f"127.0.0.1:{plan.flink_port}"),
        *("--redis", f"redis://127.0.0.1:{plan.redis_port}", "--parallelism", "2", "--checkpoint-interval", "1s"),
    )
    assert said.returncode == 0, said.stderr


def produce(stack: Stack) -> None:
    """One order of each customer after the other, so that none comes out of order."""
    producer = Producer({"bootstrap.servers": stack.plan.bootstrap, "log_level": 0})
    for number in range(5):
        for customer in range(CUSTOMERS):
            now_ms = int(time.time() * 1_000)
            producer.produce(
                "events", json.dumps(event(customer, number, now_ms)), f"somebody-{customer}", timestamp=now_ms
            )
        assert producer.flush(30) == 0
        time.sleep(0.2)
    again = event(0, 0, int(time.time() * 1_000))
    for value in (json.dumps(again), "{", "[]"):
        producer.produce("events", value, "somebody-0")
    assert producer.flush(30) == 0


class TestLiveJob:
    def test_every_event_has_an_outcome(self, scrapes: Scrapes) -> None:
        """Over both subtasks together, and rejects by their reason."""
        text = scrapes.text()
        outcomes = {
            one: sum(values(text, f"{GROUP}outcome_events", outcome=one))
            for one in ("applied", "duplicate", "rejected")
        }
        assert outcomes == {"applied": CUSTOMERS * 5, "duplicate": 1, "rejected": 2}
        assert sum(values(text, f"{GROUP}reason_rejected", reason="malformed_json")) == 1
        assert sum(values(text, f"{GROUP}reason_rejected", reason="not_an_object")) == 1

    def test_time_from_event_to_change(self, scrapes: Scrapes) -> None:
        """Measured for changes that events caused, within the minute; nothing of it is history."""
        text = scrapes.text()
        measured = sum(values(text, f"{GROUP}event_to_change_ms_count"))
        assert CUSTOMERS <= measured <= sum(values(text, f"{GROUP}segment_change_changes"))
        assert sum(values(text, f"{GROUP}le_event_to_change_ms_bucket", le="60000")) == measured
        assert sum(values(text, f"{GROUP}changes_of_history")) == 0

    def test_redis(self, scrapes: Scrapes) -> None:
        """Batches, their sizes and times; Redis was never away."""
        text = scrapes.text()
        writes = sum(values(text, f"{GROUP}result_redis_writes"))
        assert sum(values(text, f"{GROUP}batch_writes_sum")) == writes
        assert (
            sum(values(text, f"{GROUP}le_batch_ms_bucket", le="+Inf"))
            == sum(values(text, f"{GROUP}batch_ms_count"))
            > 0
        )
        assert sum(values(text, f"{GROUP}redis_waits")) == 0

    def test_alerts_ask_for_what_is_there(self, scrapes: Scrapes) -> None:
        """Every metric that they name, Kafka's among them."""
        rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
        named = {name for rule in rules for name in re.findall(r"\bflink_\w+", rule["expr"])}
        assert sorted(named - set(re.findall(r"^(flink_\w+)\{", scrapes.text(), re.MULTILINE))) == []

    def test_nobody_is_named(self, scrapes: Scrapes) -> None:
        """No metric holds the id of a customer."""
        assert "somebody" not in scrapes.text()


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  (http, loopback)
        text: str = answer.read().decode()
        return text
