"""Settings of Kafka clients, said in Java's names: the file that all commands read has librdkafka's."""

from collections.abc import Mapping
from typing import Final

from jobs.kafka_client import KafkaProblem, KafkaTarget

SHADED: Final = "org.apache.flink.kafka.shaded."
"""The connector brings Kafka's client along under another name."""
_SECURITY: Final = f"{SHADED}org.apache.kafka.common.security."
_LOGIN: Final = {
    "PLAIN": f"{_SECURITY}plain.PlainLoginModule",
    "SCRAM-SHA-256": f"{_SECURITY}scram.ScramLoginModule",
    "SCRAM-SHA-512": f"{_SECURITY}scram.ScramLoginModule",
}
_SAME: Final = frozenset(
    {
        "security.protocol",
        "client.id",
        "client.dns.lookup",
        "ssl.cipher.suites",
        "metadata.max.age.ms",
        "reconnect.backoff.ms",
        "reconnect.backoff.max.ms",
    }
)
"""Names that both have for the same thing."""
_LIBRDKAFKA_ALONE: Final = ("debug", "log_level", "socket.", "broker.", "statistics.")
"""What is no matter of the cluster, but of the library that the other commands use."""


def java_properties(target: KafkaTarget) -> dict[str, str]:
    """The target's settings for the clients inside Flink.

    Passwords are among them: they lie in the job's graph, which the cluster keeps, and are in no plan or log.

    Raises:
        KafkaProblem: a setting has no counterpart; the message has its name, not its value.
    """
    given = dict(target.settings)
    found = {"bootstrap.servers": target.bootstrap, **_login(given), **_tls(given)}
    for name, value in given.items():
        if name in _SAME:
            found[name] = value.upper() if name == "security.protocol" else value
        elif not name.startswith(_LIBRDKAFKA_ALONE):
            raise KafkaProblem(f"{name}: a job in Flink cannot be told that; take it out of the file for this command")
    return found


def _login(given: dict[str, str]) -> dict[str, str]:
    mechanism = (given.pop("sasl.mechanism", None) or given.pop("sasl.mechanisms", "")).upper()
    user, password = given.pop("sasl.username", None), given.pop("sasl.password", None)
    if not mechanism:
        return {}
    module = _LOGIN.get(mechanism)
    if module is None:
        raise KafkaProblem(f"sasl.mechanism {mechanism}: a job in Flink can log in by {', '.join(_LOGIN)}")
    if user is None or password is None:
        raise KafkaProblem("sasl.mechanism needs sasl.username and sasl.password")
    login = f"{module} required username={_quoted(user)} password={_quoted(password)};"
    return {"sasl.mechanism": mechanism, "sasl.jaas.config": login}


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _tls(given: dict[str, str]) -> dict[str, str]:
    """Files stay files: they must be there on the machines of the cluster too."""
    found: dict[str, str] = {}
    if authority := given.pop("ssl.ca.location", None):
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": authority}
    if store := given.pop("ssl.keystore.location", None):
        found |= {"ssl.keystore.type": "PKCS12", "ssl.keystore.location": store}
        if password := given.pop("ssl.keystore.password", None):
            found["ssl.keystore.password"] = password
    if "ssl.certificate.location" in given or "ssl.key.location" in given:
        raise KafkaProblem("ssl.certificate.location: write ssl.keystore.location (PKCS#12), which Java can read too")
    if (algorithm := given.pop("ssl.endpoint.identification.algorithm", None)) is not None:
        found["ssl.endpoint.identification.algorithm"] = "" if algorithm == "none" else algorithm
    return found


def properties(values: Mapping[str, str]) -> dict[str, str]:
    """As options of a table."""
    return {f"properties.{name}": value for name, value in values.items()}
