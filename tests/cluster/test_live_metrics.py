"""What Prometheus would scrape of a live job: every event with its outcome, and how long changes took."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from jobs.stack.stack import Stack
from tests.cluster.live_jobs import LiveJob, live_job
from tests.cluster.ports import free_plan
from tests.cluster.records import produce
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

GROUP = "flink_taskmanager_job_task_operator_segmill_"
CUSTOMERS, AGAIN = 40, 6
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
        """Sum over all series that have these labels; -1 if a reporter does not answer, who is asked again later."""
        try:
            return sum(values(self.text(), name, **labels))
        except OSError:
            return -1


def values(text: str, name: str, **labels: str) -> list[float]:
    found = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", text, re.MULTILINE)
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return [float(value) for series, value in found if all(label in series for label in wanted)]


def event(customer: int, number: int, at_ms: int) -> bytes:
    order = {
        "event_id": f"e-{customer}-{number}", "type": "order_completed", "timestamp": at_ms,
        "customer_id": f"somebody-{customer}", "order_id": f"o-{customer}-{number}", "total": 5,
    }  # fmt: skip
    return json.dumps(order).encode()


@pytest.fixture(scope="module")
def scrapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrapes]:
    """A stack of its own with metrics, a job, and events of now: orders, some twice, broken records."""
    stack = Stack(tmp_path_factory.mktemp("stack"), owned=True)
    try:
        plan = free_plan(task_managers=2)
        stack.up(plan.changed(metrics_port=plan.redis_port + 5))
        with live_job(stack, "--parallelism", "2") as job:
            feed(job)
            scrapes = Scrapes(stack)
            expected = CUSTOMERS * 5 + 2 + AGAIN
            until(lambda: scrapes.total(f"{GROUP}outcome_events") >= expected, "all events are counted")
            until(
                lambda: scrapes.total(f"{GROUP}result_redis_writes", result="applied") >= CUSTOMERS, "Redis is written"
            )
            assert job.restarts() == 0  # who did not answer had other reasons
            yield scrapes
    finally:
        stack.down(wipe=True)


def feed(job: LiveJob) -> None:
    """One order of each customer after the other, so that none comes out of order; then what is no news."""
    for number in range(5):
        now_ms = time.time_ns() // 1_000_000
        orders = [(customer, now_ms + customer) for customer in range(CUSTOMERS)]
        job.produce(*((f"somebody-{one}", event(one, number, at_ms), at_ms) for one, at_ms in orders))
    job.produce(("somebody-0", b"{"), ("somebody-0", b"[]"))
    produce(job.bootstrap, job.topics.control.name, ("rules", b"{}"))
    for customer in range(AGAIN):  # slowly: what is counted is shown with the next record, a fifth of a second later
        time.sleep(0.3)
        job.produce((f"somebody-{customer}", event(customer, 0, time.time_ns() // 1_000_000)))


class TestLiveJob:
    def test_every_event_has_an_outcome(self, scrapes: Scrapes) -> None:
        """Over both subtasks together, and rejects by their reason."""
        text = scrapes.text()
        outcomes = {
            one: sum(values(text, f"{GROUP}outcome_events", outcome=one))
            for one in ("applied", "duplicate", "rejected")
        }
        assert outcomes == {"applied": CUSTOMERS * 5, "duplicate": AGAIN, "rejected": 2}
        assert sum(values(text, f"{GROUP}reason_rejected", reason="malformed_json")) == 1
        assert sum(values(text, f"{GROUP}reason_rejected", reason="not_an_object")) == 1

    def test_refused_control_records_are_counted(self, scrapes: Scrapes) -> None:
        """By the one operator that reads them; they are no events."""
        refused = {"reason": "invalid_control", "operator_name": "control"}
        until(lambda: values(scrapes.text(), f"{GROUP}reason_rejected", **refused) == [1], "the refusal is counted")

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

    def test_alerts_ask_for_labels_that_are_there(self, scrapes: Scrapes) -> None:
        """Each value, of the metric of which they ask for it; of what is worked out, of what it is made of."""
        text = scrapes.text()
        rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
        made_of = {rule["record"]: re.findall(r"\bflink_\w+", rule["expr"])[0] for rule in rules if "record" in rule}
        asked = {
            (made_of.get(name, name), label, value)
            for rule in rules
            for name, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", rule["expr"])
            for label, value in re.findall(r'(\w+)="([^"]*)"', matchers)
        }
        assert len({label for _, label, _ in asked}) > 2  # reason, outcome, operator_name
        assert [one for one in sorted(asked) if not values(text, one[0], **{one[1]: one[2]})] == []

    def test_counters_are_there_before_anything_is_counted(self, scrapes: Scrapes) -> None:
        """Else `increase` would not see the first one. Nothing came late here, and Redis was never away."""
        text = scrapes.text()
        never = (
            ("outcome_events", {"outcome": "late"}),
            ("reason_rejected", {"reason": "too_late"}),
            ("redis_waits", {"operator_name": "redis-writer-item"}),
        )
        for name, labels in never:
            assert set(values(text, f"{GROUP}{name}", **labels)) == {0}, name

    def test_nobody_is_named(self, scrapes: Scrapes) -> None:
        """No metric holds the id of a customer."""
        assert "somebody" not in scrapes.text()


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  (http, loopback)
        text: str = answer.read().decode()
        return text
