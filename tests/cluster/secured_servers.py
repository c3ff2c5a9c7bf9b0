"""A broker and a Redis that want TLS, and a password or a certificate, by an authority of their own."""

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
STORE_PASSWORD = "SHOP_STORE_PASSWORD"
_PLAIN_PASSWORD = "BROKER_PLAIN_PASSWORD"
_LISTENERS = """
listeners=BROKER://127.0.0.1:{0},SECURED://127.0.0.1:{1},PLAIN://127.0.0.1:{2},MUTUAL://127.0.0.1:{3},CONTROLLER://127.0.0.1:{4}
advertised.listeners=BROKER://127.0.0.1:{0},SECURED://127.0.0.1:{1},PLAIN://127.0.0.1:{2},MUTUAL://127.0.0.1:{3}
listener.security.protocol.map=BROKER:PLAINTEXT,SECURED:SASL_SSL,PLAIN:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT
listener.name.secured.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secured.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.plain.sasl.enabled.mechanisms=PLAIN
listener.name.plain.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {5};
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.truststore.type=PEM
listener.name.mutual.ssl.truststore.location={6}
ssl.keystore.type=PEM
ssl.keystore.location={7}
config.providers=env
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
"""
_LOGIN = """
security.protocol=SASL_SSL
ssl.ca.location={0}
sasl.mechanism={1}
sasl.username={2}
"""
_CERTIFICATE = """
security.protocol=SSL
ssl.ca.location={0}
ssl.keystore.location={1}
ssl.keystore.password=${{env:{2}}}
"""


@dataclass(frozen=True, slots=True)
class Secured:
    """Where the two are, and what they want."""

    plan: StackPlan
    """Of its ports only some are used."""
    folder: Path
    authority: Authority
    kafka_password: str = field(default_factory=lambda: f"kafka-{uuid4().hex}")
    """For SCRAM and PLAIN."""
    redis_password: str = field(default_factory=lambda: f"redis-{uuid4().hex}")
    store_password: str = field(default_factory=lambda: f"store-{uuid4().hex}")
    """Of the client's key and certificate."""

    @property
    def passwords(self) -> tuple[str, str, str]:
        return self.kafka_password, self.redis_password, self.store_password

    @property
    def bootstrap(self) -> str:
        """The listener for SCRAM."""
        return f"127.0.0.1:{self.plan.broker_port(1) + 1}"

    @property
    def plain_bootstrap(self) -> str:
        """The listener for PLAIN."""
        return f"127.0.0.1:{self.plan.broker_port(1) + 2}"

    @property
    def mutual_bootstrap(self) -> str:
        """The listener that wants a certificate of its clients, and no password."""
        return f"127.0.0.1:{self.plan.broker_port(1) + 3}"

    @property
    def back_door(self) -> str:
        """A listener without any of it, for those who only look."""
        return self.plan.bootstrap

    @property
    def kafka_config(self) -> Path:
        """All but the password, for SCRAM-SHA-512."""
        return self.folder / "client.properties"

    @property
    def shorter_config(self) -> Path:
        """All but the password, for SCRAM-SHA-256."""
        return self.folder / "shorter.properties"

    @property
    def plain_config(self) -> Path:
        """All but the password, for PLAIN."""
        return self.folder / "plain.properties"

    @property
    def mutual_config(self) -> Path:
        """All but the password of the key, which is in a variable of the environment."""
        return self.folder / "mutual.properties"

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
    authority = found.authority.certificate
    ways = {
        found.kafka_config: "SCRAM-SHA-512",
        found.shorter_config: "SCRAM-SHA-256",
        found.plain_config: "PLAIN",
    }
    for config, mechanism in ways.items():
        config.write_text(_LOGIN.format(authority, mechanism, USER), encoding="utf-8")
    store = found.authority.client(USER, found.store_password)
    found.mutual_config.write_text(_CERTIFICATE.format(authority, store, STORE_PASSWORD), encoding="utf-8")
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
    ports = tuple(plan.broker_port(1) + more for more in range(4))
    known = f'user_{USER}="${{env:{_PLAIN_PASSWORD}}}"'
    files = (found.authority.certificate, found.authority.server())
    with (layout.kafka / "broker-1.properties").open("a") as properties:  # of several lines the last one counts
        properties.write(_LISTENERS.format(*ports, plan.controller_port(1), known, *files))
    output = layout.output("broker-1")
    env = {**service.env, _PLAIN_PASSWORD: found.kafka_password}
    broker: subprocess.Popen[bytes] = start_child(service.command("secured"), output, env)

    def answers() -> bool:
        assert broker.poll() is None, output.read_text()
        return 1 in seen_brokers(ports[0]) and all(map(reachable, ports))

    try:
        until(answers, "the broker answers")
        _let_in(found)
        yield
    finally:
        stop_child(broker)


def _let_in(found: Secured) -> None:
    """Each mechanism has a secret of its own, made of the same password."""
    admin = AdminClient({"bootstrap.servers": found.back_door})
    for mechanism in (ScramMechanism.SCRAM_SHA_512, ScramMechanism.SCRAM_SHA_256):
        secret = ScramCredentialInfo(mechanism, 4096)
        entry = UserScramCredentialUpsertion(USER, secret, found.kafka_password.encode())
        for future in admin.alter_user_scram_credentials([entry]).values():
            future.result(60)
