"""Settings files, and errors in one line."""

from pathlib import Path

import pytest
from cli_runs import call
from confluent_kafka import KafkaError

from jobs.kafka_client import Errors, KafkaProblem, KafkaTarget, explain, kafka_target

SECRET = "correct horse battery"
NOBODY = "127.0.0.1:1"
"""No broker can listen there."""


def settings(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


class TestSettingsFile:
    def test_names_and_values(self, tmp_path: Path) -> None:
        """Comments and blank lines are left out; a value may hold `=`."""
        file = settings(tmp_path / "c", "# of ours\n\nsecurity.protocol = SASL_SSL\nsasl.password=a=b \n")
        assert kafka_target("b:1", file, {}).settings == {"security.protocol": "SASL_SSL", "sasl.password": "a=b"}

    def test_secrets_from_the_environment(self, tmp_path: Path) -> None:
        """By name, or the one variable that is looked at in any case."""
        file = settings(tmp_path / "c", "sasl.username=${env:WHO}-1\n")
        target = kafka_target("b:1", file, {"WHO": "job", "SEGMILL_KAFKA_PASSWORD": SECRET})
        assert target.settings == {"sasl.username": "job-1", "sasl.password": SECRET}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (f"a=1\n{SECRET}\n", "c:2: not name=value"),
            ("sasl.password=${env:NOT_THERE}\n", "c:1: there is no variable NOT_THERE"),
            (f"sasl.jaas.config={SECRET}\n", "write sasl.username and sasl.password"),
            ("bootstrap.servers=b:1\n", "belongs to --bootstrap"),
        ],
    )
    def test_faults_name_the_line(self, tmp_path: Path, text: str, said: str) -> None:
        """And never the value."""
        with pytest.raises(KafkaProblem) as caught:
            kafka_target("b:1", settings(tmp_path / "c", text), {})
        assert said in str(caught.value)
        assert SECRET not in str(caught.value)

    def test_a_name_that_librdkafka_does_not_know(self) -> None:
        """Is told by its name."""
        with pytest.raises(KafkaProblem, match=r"no\.such\.thing"):
            KafkaTarget("b:1", {"no.such.thing": SECRET}).admin()

    def test_what_a_command_needs_cannot_be_set(self) -> None:
        """Exactly-once reading is not a matter of a file."""
        with pytest.raises(KafkaProblem, match=r"isolation\.level: this command sets it itself"):
            KafkaTarget("b:1", {"isolation.level": "read_uncommitted"}).consumer(
                None, {"isolation.level": "read_committed"}
            )

    def test_no_secret_in_its_repr(self) -> None:
        """Which ends in logs and traces."""
        assert SECRET not in repr(KafkaTarget("b:1", {"sasl.password": SECRET}))


class TestErrors:
    @pytest.mark.parametrize(("alert", "hopeless"), [(42, True), (116, True), (80, False), (420, False)])
    def test_a_certificate_that_is_not_taken(self, alert: int, hopeless: bool) -> None:
        """The library tells of it as of a connection that has ended; other alerts may pass, as a broker restarts."""
        errors = Errors()
        said = f"ssl://b:1/bootstrap: Receive failed: error:0A000412:SSL routines::an alert: SSL alert number {alert}"
        errors(KafkaError(KafkaError._TRANSPORT, f"{said} (after 0ms in state APIVERSION_QUERY)"))
        assert errors.hopeless is hopeless
        assert errors.worst is not None
        assert explain(errors.worst).startswith("TLS failed" if hopeless else "no broker answers")

    def test_the_hopeless_one_is_kept(self) -> None:
        """However many follow it."""
        errors = Errors()
        for code in (KafkaError._TRANSPORT, KafkaError._AUTHENTICATION, KafkaError._ALL_BROKERS_DOWN):
            errors(KafkaError(code))
        assert errors.hopeless
        assert errors.worst is not None
        assert explain(errors.worst).startswith("authentication failed")

    def test_no_broker(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """One line, no trace, exit code 1."""
        monkeypatch.setattr("jobs.kafka_client.ANSWER_WITHIN_S", 0.5)
        said = call(capsys, "topics", "check", "--bootstrap", NOBODY)
        assert said.code == 1
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert f"Kafka at {NOBODY}: no broker answers" in said.err
