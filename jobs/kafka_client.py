"""Kafka clients: where the brokers are, what a settings file says, and what went wrong in one line."""

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ClusterMetadata

from jobs.runtime.errors import RuntimeProblem

C = TypeVar("C")
Listener = Callable[[KafkaError], None]

PASSWORD_VARIABLE = "SEGMILL_KAFKA_PASSWORD"  # noqa: S105  (the name of it)
ANSWER_WITHIN_S = 10.0
_LOOK_S = 1.0
_CRITICAL = "2"
"""librdkafka's own lines on standard error stop here: what matters is raised."""

_SETTING = re.compile(r"([a-zA-Z][\w.]*)\s*[=:]\s*(.*)")
_FROM_ENVIRONMENT = re.compile(r"\$\{env:(\w+)\}")
_OF_JAVA = {
    "sasl.jaas.config": "sasl.username and sasl.password",
    "ssl.truststore.location": "ssl.ca.location (PEM)",
    "ssl.truststore.password": "ssl.ca.location (PEM), which needs none",
    "ssl.keystore.type": "ssl.keystore.location (PKCS#12) alone",
}
"""Names that are known from Java clients: what to write here."""
_HOPELESS = {
    KafkaError._AUTHENTICATION: "authentication failed",
    KafkaError.SASL_AUTHENTICATION_FAILED: "authentication failed",
    KafkaError._SSL: "TLS failed",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "not allowed",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "not allowed",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "not allowed",
}
"""Errors that no waiting mends."""
_NO_CERTIFICATE = re.compile(r"SSL alert number (4[2-8]|116)\b")
"""So the library words, as an end of the connection, that the broker does not take our certificate, or wants one.
(Alerts of TLS, RFC 8446 section 6: bad, unsupported, revoked, expired, unknown, of an unknown authority, required.)"""


class KafkaProblem(RuntimeProblem):
    """Kafka cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class KafkaTarget:
    """A Kafka cluster and how to talk to it; its settings, which hold secrets, are in no repr."""

    bootstrap: str
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)

    def admin(self, on_error: Listener | None = None) -> AdminClient:
        """A client for topics.

        Raises:
            KafkaProblem: a setting is wrong.
        """
        return self._client(AdminClient, {}, on_error)

    def producer(
        self, on_error: Listener | None, fixed: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
    ) -> Producer:
        """A producer: `fixed` settings are what a command relies on, `defaults` a settings file may change.

        Raises:
            KafkaProblem: a setting is wrong.
        """
        return self._client(Producer, fixed, on_error, defaults)

    def consumer(
        self, on_error: Listener | None, fixed: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
    ) -> Consumer:
        """A consumer, likewise.

        Raises:
            KafkaProblem: a setting is wrong.
        """
        return self._client(Consumer, fixed, on_error, defaults)

    def metadata(self, admin: AdminClient | None = None) -> ClusterMetadata:
        """Brokers and topics of the cluster, asked for until an answer comes.

        Raises:
            KafkaProblem: none came within `ANSWER_WITHIN_S` seconds, or there never will be one.
        """
        errors = Errors()
        admin = admin or self.admin(errors)
        until = time.monotonic() + ANSWER_WITHIN_S
        while True:
            try:
                return admin.list_topics(timeout=_LOOK_S)
            except KafkaException as error:
                admin.poll(0)
                if errors.hopeless or time.monotonic() > until:
                    raise self.problem(errors.worst or error.args[0]) from None

    def problem(self, error: KafkaError) -> KafkaProblem:
        """The error in one line."""
        return KafkaProblem(f"Kafka at {self.bootstrap}: {explain(error)}")

    def _client(
        self,
        kind: Callable[[dict[str, Any]], C],
        fixed: Mapping[str, Any],
        on_error: Listener | None,
        defaults: Mapping[str, Any] | None = None,
    ) -> C:
        if meddling := fixed.keys() & self.settings.keys():
            raise KafkaProblem(f"{', '.join(sorted(meddling))}: this command sets it itself; take it out of the file")
        # without a listener librdkafka would write errors of the connection to standard error
        ours = {**fixed, "bootstrap.servers": self.bootstrap, "error_cb": on_error or _ignored}
        settings: dict[str, Any] = {"log_level": _CRITICAL, **(defaults or {}), **self.settings, **ours}
        try:
            return kind(settings)
        except KafkaException as error:
            # names a setting and, for some, its value; never one that is a secret
            raise KafkaProblem(f"Kafka settings: {error.args[0].str()}") from None


class Errors:
    """What a client told in passing: call it with each error."""

    def __init__(self) -> None:
        self.worst: KafkaError | None = None
        """The one that says most: one without hope, else the newest."""

    @property
    def hopeless(self) -> bool:
        """Whether waiting is of no use."""
        return self.worst is not None and (_what_fails(self.worst) is not None or self.worst.fatal())

    def __call__(self, error: KafkaError) -> None:
        """Keep it."""
        if not self.hopeless and (self.worst is None or error.code() != KafkaError._ALL_BROKERS_DOWN):
            self.worst = error


def kafka_target(bootstrap: str, config: Path | None = None, environ: Mapping[str, str] = os.environ) -> KafkaTarget:
    """The cluster at `bootstrap` (host:port, comma, …), with the settings of a file.

    The file has lines of `name=value` in librdkafka's names; `${env:NAME}` in a value stands for a variable of the
    environment. A password comes from the file or from SEGMILL_KAFKA_PASSWORD.

    Raises:
        KafkaProblem: the file cannot be used; no message holds a value of it.
    """
    settings = _settings(config, environ) if config is not None else {}
    if "bootstrap.servers" in settings:
        raise KafkaProblem(f"{config}: bootstrap.servers belongs to --bootstrap")
    if "sasl.password" not in settings and environ.get(PASSWORD_VARIABLE):
        settings["sasl.password"] = environ[PASSWORD_VARIABLE]
    return KafkaTarget(bootstrap, settings)


def _settings(config: Path, environ: Mapping[str, str]) -> dict[str, str]:
    try:
        lines = config.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KafkaProblem(f"{config}: cannot be read: {getattr(error, 'strerror', 'not UTF-8')}") from None
    settings: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            continue
        stated = _SETTING.fullmatch(line.strip())
        if stated is None:
            raise KafkaProblem(f"{config}:{number}: not name=value")
        name, value = stated.groups()
        if name in _OF_JAVA:
            raise KafkaProblem(f"{config}:{number}: {name} is for Java clients; write {_OF_JAVA[name]}")
        settings[name] = _resolved(value, environ, f"{config}:{number}")
    return settings


def _resolved(value: str, environ: Mapping[str, str], place: str) -> str:
    def look_up(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise KafkaProblem(f"{place}: there is no variable {match[1]} in the environment")
        return environ[match[1]]

    return _FROM_ENVIRONMENT.sub(look_up, value)


def explain(error: KafkaError) -> str:
    """What happened, for people."""
    code, fails = error.code(), _what_fails(error)
    if fails is not None:
        return f"{fails}: {error.str()}"
    if code in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE):
        return f"no broker answers ({error.str()}); is --bootstrap right, and are TLS and SASL set as the broker wants?"
    if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION):
        return f"no such topic ({error.str()}); `segmill topics create` makes those of a live job"
    return error.str()


def _what_fails(error: KafkaError) -> str | None:
    """Of an error without hope; None of others."""
    return "TLS failed" if _NO_CERTIFICATE.search(error.str()) else _HOPELESS.get(error.code())


def _ignored(error: KafkaError) -> None:
    """An error that the call it belongs to raises as well."""
