"""The plan of a stack and its folder: ports do not collide, what is kept is read, only what is ours is deleted."""

from pathlib import Path

import pytest

from jobs.stack.errors import StackError
from jobs.stack.layout import TEMPLATES, Layout, jars
from jobs.stack.plan import StackPlan, saved_plan


class TestPorts:
    def test_defaults_are_the_usual_ones(self) -> None:
        """Of Kafka, Flink and Redis."""
        plan = StackPlan(brokers=3)
        assert plan.bootstrap == "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094"
        assert (plan.rest, plan.redis_url) == ("http://127.0.0.1:8081", "redis://127.0.0.1:6379")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"redis_port": 9092}, "--redis-port and --kafka-port both need port 9092"),
            ({"redis_port": 9102}, r"--redis-port and --kafka-port \(\+10: controller\) both need port 9102"),
            ({"redis_port": 8082}, r"--redis-port and --flink-port \(\+1: RPC\) both need port 8082"),
            ({"metrics_port": 8080, "task_managers": 1}, "--metrics-port and --flink-port both need port 8081"),
            ({"kafka_port": 65_530}, "port 65540 does not exist"),
        ],
    )
    def test_those_that_collide_are_refused(self, changes: dict[str, int], message: str) -> None:
        """By the names of the options."""
        with pytest.raises(StackError, match=message):
            StackPlan(**changes)

    def test_a_wish_that_is_not_given_changes_nothing(self) -> None:
        """None is no wish."""
        plan = StackPlan(redis_port=7000)
        assert plan.changed(redis_port=None, brokers=None) == plan
        assert plan.changed(brokers=3).differences(plan) == ["brokers"]


class TestFolder:
    def test_a_plan_is_read_again(self, tmp_path: Path) -> None:
        """As it was."""
        plan = StackPlan(brokers=3, metrics_port=9249)
        plan.save(tmp_path)
        assert saved_plan(tmp_path) == plan
        assert saved_plan(tmp_path / "nothing") is None

    @pytest.mark.parametrize("content", ["{", '{"color": 1}', "[]"])
    def test_a_damaged_plan_is_an_error(self, tmp_path: Path, content: str) -> None:
        """That says which file it is."""
        (tmp_path / "stack.json").write_text(content, encoding="utf-8")
        with pytest.raises(StackError, match=r"stack\.json is damaged"):
            saved_plan(tmp_path)

    def test_only_what_is_ours_is_wiped(self, tmp_path: Path) -> None:
        """A file of somebody else's stays."""
        layout = Layout(tmp_path)
        layout.make()
        (layout.logs / "x.log").write_text("x", encoding="utf-8")
        (tmp_path / "thesis.txt").write_text("x", encoding="utf-8")
        layout.wipe()
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

    def test_missing_jars_are_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the command that brings them."""
        monkeypatch.setenv("SEGMILL_JARS", str(tmp_path))
        with pytest.raises(StackError, match="run `make connectors`"):
            jars("kafka")


def test_logs_have_a_name_without_the_stack() -> None:
    """Whoever uses the settings with Flink's own command may not have the variable."""
    lines = (TEMPLATES / "stack-log4j.properties").read_text(encoding="utf-8").splitlines()
    named = [line for line in lines if "SEGMILL_STACK_LOG" in line]
    assert len(named) == 2
    assert all("${env:SEGMILL_STACK_LOG:-flink-client.log}" in line for line in named)
