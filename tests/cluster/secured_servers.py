"""A broker and a Redis that want TLS and a password, with certificates by an authority of their own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import redis
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from jobs.runtime.children import start_child, stop_child
from jobs.runtime.java import find_java
from jobs.runtime.valkey import EmbeddedValkey
from jobs.stack.kafka import broker_service, seen_brokers
from jobs.stack.layout import Layout
from jobs.stack.plan import StackPlan
from jobs.stack.service import reachable
from tests.cluster.certificates import Authority
from tests.cluster.tls_door import tls_door
from tests.cluster.waiting import until

USER = "shop"
_LISTENERS = """
listeners=BROKER://127.0.0.1:{0},SECURED://127.0.0.1:{1},CONTROLLER://127.0.0.1:{2}
advertised.listeners=BROKER://127.0.0.1:{0},SECURED://127.0.0.1:{1}
listener.security.protocol.map=BROKER:PLAINTEXT,SECURED:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secured.ssl.keystore.type=PEM
listener.name.secured.ssl.keystore.location={3}
"""
_CLIENT = """
security.protocol=SASL_SSL
ssl.ca.location={0}
sasl.mechanism=SCRAM-SHA-512
sasl.username={1}
"""


@dataclass(frozen=True, slots=True)
class Secured:
    """Where the two are, and what they want."""

    plan: StackPlan
    """Of its ports only some are used."""
    folder: Path
    authority: Authority
    kafka_password: str = field(default_factory=lambda: f"kafka-{uuid4().hex}")
    redis_password: str = field(default_factory=lambda: f"redis-{uuid4().hex}")

    @property
    def passwords(self) -> tuple[str, str]:
        return self.kafka_password, self.redis_password

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.plan.broker_port(1) + 1}"

    @property
    def back_door(self) -> str:
        """A listener without any of it, for those who only look."""
        return self.plan.bootstrap

    @property
    def kafka_config(self) -> Path:
        """All but the password."""
        return self.folder / "client.properties"

    @property
    def redis_url(self) -> str:
        """All but the password, the authority included."""
        return f"rediss://127.0.0.1:{self.plan.redis_port}/0?ssl_ca_certs={self.authority.certificate}"

    @property
    def valkey(self) -> Path:
        """The socket of the server behind the door."""
        return self.folder / "valkey" / "valkey.sock"

    def client(self) -> redis.Redis:
        """One of Redis, by the way that everybody takes."""
        return redis.Redis.from_url(self.redis_url, password=self.redis_password)


@contextmanager
def secured_servers(plan: StackPlan, folder: Path) -> Iterator[Secured]:
    """Both of them, during the block. No password is in a command line."""
    found = Secured(plan, folder, Authority.made(folder / "certificates"))
    found.kafka_config.write_text(_CLIENT.format(found.authority.certificate, USER), encoding="utf-8")
    with _redis(found), _broker(found):
        yield found


@contextmanager
def _redis(found: Secured) -> Iterator[None]:
    with EmbeddedValkey(found.valkey.parent) as valkey:
        valkey.client().config_set("requirepass", found.redis_password)
        with tls_door(found.plan.redis_port, found.authority.server_context(), valkey.socket):
            yield


@contextmanager
def _broker(found: Secured) -> Iterator[None]:
    layout, plan = Layout(found.folder / "broker"), found.plan
    layout.make()
    service = broker_service(plan, layout, find_java(), 1)
    service.prepare()
    ports = (plan.broker_port(1), plan.broker_port(1) + 1, plan.controller_port(1))
    with (layout.kafka / "broker-1.properties").open("a") as properties:  # of several lines the last one counts
        properties.write(_LISTENERS.format(*ports, found.authority.server()))
    output = layout.output("broker-1")
    broker: subprocess.Popen[bytes] = start_child(service.command("secured"), output, service.env)

    def answers() -> bool:
        assert broker.poll() is None, output.read_text()
        return 1 in seen_brokers(ports[0]) and reachable(ports[1])

    try:
        until(answers, "the broker answers")
        _let_in(found)
        yield
    finally:
        stop_child(broker)


def _let_in(found: Secured) -> None:
    secret = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    entry = UserScramCredentialUpsertion(USER, secret, found.kafka_password.encode())
    admin = AdminClient({"bootstrap.servers": found.back_door})
    for future in admin.alter_user_scram_credentials([entry]).values():
        future.result(60)
