"""The Kafka of a stack: brokers that are their own controllers (KRaft)."""

import base64
import os
import subprocess
import uuid
from pathlib import Path

from jobs.runtime.java import Java
from jobs.stack.errors import StackError
from jobs.stack.layout import TEMPLATES, Layout, jars
from jobs.stack.plan import StackPlan
from jobs.stack.processes import Process
from jobs.stack.service import HOST, Service, reachable

_HEAP = {1: "512m", 2: "384m", 3: "384m"}
_LARGEST_MESSAGE_BYTES = 12 << 20
"""More than what a sane producer sends: what is too large for us must arrive to be rejected by name."""
_ASK_S = 2.0
_FORMAT_S = 60.0


def broker_name(number: int) -> str:
    """`broker-1`."""
    return f"broker-{number}"


def broker_service(plan: StackPlan, layout: Layout, java: Java, number: int) -> Service:
    """Broker 1, 2 or 3.

    Raises:
        StackError: its jars are missing.
    """
    name = broker_name(number)
    properties = layout.kafka / f"{name}.properties"
    base: list[str | Path] = [java.executable, "-cp", f"{jars('kafka')}/*"]
    log4j = f"-Dlog4j2.configurationFile={TEMPLATES / 'stack-log4j.properties'}"
    env = {**os.environ, "SEGMILL_STACK_LOG": str(layout.log(name))}

    def command(instance: str) -> list[str | Path]:
        heap = _HEAP[plan.brokers]
        options = [f"-Xmx{heap}", "-XX:+UseG1GC", "-Djava.awt.headless=true", log4j]
        return [base[0], *options, *base[1:], "kafka.Kafka", properties]

    def prepare() -> None:
        properties.write_text(_properties(plan, layout, number), encoding="utf-8")
        if not (layout.data(name) / "meta.properties").exists():
            _format([*base[:1], log4j, *base[1:]], properties, _cluster_id(layout), env)

    def answers(process: Process) -> bool:
        return number in seen_brokers(plan.broker_port(number))

    ports = {plan.broker_port(number): "--kafka-port", plan.controller_port(number): "--kafka-port (+10: controller)"}
    return Service(name, command, answers, env, ports, prepare)


def seen_brokers(port: int) -> set[int]:
    """Ids of the brokers that the one on this port knows; empty if it does not answer."""
    from confluent_kafka import KafkaException

    from jobs.kafka_client import KafkaTarget

    if not reachable(port):
        return set()
    try:
        return set(KafkaTarget(f"{HOST}:{port}").admin().list_topics(timeout=_ASK_S).brokers)
    except KafkaException:
        return set()


def _properties(plan: StackPlan, layout: Layout, number: int) -> str:
    numbers = range(1, plan.brokers + 1)
    listener = f"BROKER://{HOST}:{plan.broker_port(number)}"
    copies, in_sync = min(3, plan.brokers), max(1, plan.brokers - 1)
    settings = {
        "node.id": number,
        "process.roles": "broker,controller",
        "controller.quorum.voters": ",".join(f"{one}@{HOST}:{plan.controller_port(one)}" for one in numbers),
        "listeners": f"{listener},CONTROLLER://{HOST}:{plan.controller_port(number)}",
        "advertised.listeners": listener,
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": layout.data(broker_name(number)),
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 10,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 10,
        "group.initial.rebalance.delay.ms": 0,
        "message.max.bytes": _LARGEST_MESSAGE_BYTES,
        "replica.fetch.max.bytes": _LARGEST_MESSAGE_BYTES,
        "log.cleaner.dedupe.buffer.size": 16 << 20,
        "broker.session.timeout.ms": 6000,
        "broker.heartbeat.interval.ms": 1000,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _cluster_id(layout: Layout) -> str:
    """The same for all brokers of a stack, and for as long as their data is kept."""
    path = layout.data("kafka-cluster-id")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.write_text("s" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22], encoding="ascii")
    return path.read_text(encoding="ascii").strip()


def _format(base: list[str | Path], properties: Path, cluster_id: str, env: dict[str, str]) -> None:
    command = [*base, "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster_id, "-c", properties]
    done = subprocess.run(
        [str(part) for part in command], env=env, capture_output=True, text=True, timeout=_FORMAT_S, check=False
    )
    if done.returncode != 0:
        raise StackError(f"Kafka cannot format its folder: {(done.stderr or done.stdout).strip()[-1000:]}")
