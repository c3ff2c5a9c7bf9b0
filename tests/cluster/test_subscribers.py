"""The subscribers of examples/ have the memberships that the job has."""

import json
import signal
import subprocess
import sys
from types import ModuleType
from typing import Any

import msgpack
import pytest
from confluent_kafka import Producer

from examples import subscriber, subscriber_from_now
from jobs.simulation.log import simulate
from jobs.simulation.settings import SimulationSettings
from schemas.decode import Decoder
from schemas.profiles import unpack_versioned
from schemas.rejects import Rejected
from schemas.settings import Settings
from schemas.writes import WriteKind
from state.channels import Channel
from state.customer.logic import PLACE_END, CustomerLogic
from state.local import LocalRun
from state.rules.ruleset import load_rules
from state.similar.settings import SimilarSettings
from tests.cluster.records import new_topic
from tests.cluster.subscribed import settled

pytestmark = pytest.mark.cluster

HOUR_MS = 3_600_000
Members = dict[tuple[str, str], int]


@pytest.fixture(scope="module")
def said() -> tuple[list[dict[str, Any]], Members]:
    """The changes of a log with late events, and the memberships in the profiles that the job wrote last."""
    settings = Settings()
    decoder = Decoder(settings)
    decoded = []
    for raw in simulate(SimulationSettings(events=6_000, customers=150, shuffle_ms=20 * HOUR_MS, refunds_first=True)):
        try:
            subject, fact = decoder.decode(raw)
        except Rejected:
            continue
        decoded.append((subject, fact.time_ms, raw))
    as_of_ms = max(time_ms for _, time_ms, _ in decoded)
    logic = CustomerLogic(settings, load_rules(), SimilarSettings(), as_of_ms=as_of_ms)
    run = LocalRun(logic, settings.out_of_orderness_ms)
    outputs = [one for who, time_ms, raw in decoded for one in run.feed(who, time_ms, PLACE_END + raw)]
    outputs += run.close()
    changes = [json.loads(payload) for channel, _, payload in outputs if channel == Channel.SEGMENT_CHANGE]
    members: Members = {}
    for channel, _, payload in outputs:
        if channel != Channel.REDIS:
            continue
        kind, customer, packed, *_ = msgpack.unpackb(payload, raw=True)
        if kind == WriteKind.PROFILE:
            profile = unpack_versioned(packed) or {"segments": {}}
            members |= {(customer.decode(), name): since_ms for name, since_ms in profile["segments"].items()}
    assert len(members) > 100
    assert any(change["supersedes"] for change in changes)
    return changes, members


def write_in_transactions(bootstrap: str, topic: str, pairs: list[tuple[str, dict[str, Any] | None]]) -> None:
    """As the job does, keyed by customer; before each commit the same of others, aborted."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(30)
    size = len(pairs) // 3 + 1
    for start in range(0, len(pairs), size):
        for lie in (True, False):
            producer.begin_transaction()
            for key, value in pairs[start : start + size]:
                who = f"{key}-lie" if lie else key  # a map that has seen it never gets rid of it
                told = value and json.dumps(value | {"customer_id": who}).encode()
                producer.produce(topic, told, who)
            producer.flush(30)
            if lie:
                producer.abort_transaction(30)
            else:
                producer.commit_transaction(30)


@pytest.mark.parametrize("example", [subscriber, subscriber_from_now])
def test_ctrl_c_ends_it(bootstrap: str, example: ModuleType) -> None:
    """Without a trace."""
    topic = new_topic(bootstrap, "nothing")
    command = [sys.executable, "-u", str(example.__file__), bootstrap, topic]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("0 ")
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, complaints) == (0, "")


class TestSubscriber:
    def test_the_map_is_that_of_the_job(self, bootstrap: str, said: tuple[list[dict[str, Any]], Members]) -> None:
        """Corrections included; what was never committed is never seen."""
        changes, members = said
        topic = new_topic(bootstrap, "changes", partitions=4)
        write_in_transactions(bootstrap, topic, [(change["customer_id"], change) for change in changes])
        assert settled(subscriber.members(bootstrap, topic)) == members


class TestFromNow:
    def test_the_map_is_that_of_the_job(self, bootstrap: str, said: tuple[list[dict[str, Any]], Members]) -> None:
        """From one record for each customer, the newest."""
        changes, members = said
        topic = new_topic(bootstrap, "memberships", partitions=4, cleanup__policy="compact")
        now: dict[str, dict[str, int]] = {}
        pairs: list[tuple[str, dict[str, Any] | None]] = []
        for change in changes:
            customer = change["customer_id"]
            segments = now.setdefault(customer, {})
            if change["change"] == "entered":
                segments[change["segment"]] = change["since_ms"]
            else:
                segments.pop(change["segment"], None)
            value = {"customer_id": customer, "as_of_ms": change["at_ms"], "segments": dict(segments)}
            pairs.append((customer, value if segments else None))
        write_in_transactions(bootstrap, topic, pairs)
        found = settled(subscriber_from_now.members(bootstrap, topic))
        assert {(customer, name): since for customer, all_ in found.items() for name, since in all_.items()} == members
