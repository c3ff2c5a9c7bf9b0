"""`segmill topics` on a real broker."""

from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from tests.jobs.cli_runs import call

pytestmark = pytest.mark.cluster


@pytest.fixture
def prefix() -> str:
    """Of topics that nobody else has."""
    return f"t-{uuid4().hex[:8]}."


def alter(bootstrap: str, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})  # kept: without it its answers never come
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


class TestCreate:
    def test_from_nothing_and_again(self, bootstrap: str, prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
        """What is missing is said, made, and then as it should be."""
        words = ("--bootstrap", bootstrap, "--topic-prefix", prefix, "--json")
        before = call(capsys, "topics", "check", *words)
        assert (before.code, {topic["state"] for topic in before.json["topics"]}) == (3, {"missing"})
        made = call(capsys, "topics", "create", "--partitions", 4, *words)
        assert (made.code, {topic["state"] for topic in made.json["topics"]}) == (0, {"created"})
        assert {topic["name"]: topic["partitions"] for topic in made.json["topics"]} == {
            f"{prefix}events": 4,
            f"{prefix}segment-changes": 4,
            f"{prefix}segment-memberships": 4,
            f"{prefix}events-rejected": 4,
            f"{prefix}similar-items": 4,
            f"{prefix}population-memberships": 4,
            f"{prefix}models": 4,
            f"{prefix}control": 1,
        }
        again = call(capsys, "topics", "create", *words)
        assert (again.code, {topic["state"] for topic in again.json["topics"]}) == (0, {"fits"})
        assert call(capsys, "topics", "check", *words).code == 0

    def test_what_differs_is_told_and_repaired(
        self, bootstrap: str, prefix: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Settings only when asked to; the number of partitions never."""
        words = ("--bootstrap", bootstrap, "--topic-prefix", prefix)
        call(capsys, "topics", "create", *words, "--partitions", 2)
        alter(bootstrap, f"{prefix}events", "retention.ms", "604800000")
        alter(bootstrap, f"{prefix}similar-items", "cleanup.policy", "delete")
        told = call(capsys, "topics", "create", *words)
        assert told.code == 3
        assert f"{prefix}events: retention.ms is 604800000, needed is -1" in told.out
        assert f"{prefix}similar-items: cleanup.policy is delete, needed is compact" in told.out
        assert "--repair" in told.out
        repaired = call(capsys, "topics", "create", "--repair", *words, "--json")
        assert repaired.code == 0
        assert sorted(topic["state"] for topic in repaired.json["topics"]) == ["fits"] * 6 + ["repaired"] * 2
        other = call(capsys, "topics", "create", "--repair", *words, "--partitions", 3)
        assert other.code == 3
        assert "partitions is 2, needed is 3 (cannot be changed in place)" in other.out

    def test_control_of_several_partitions(
        self, bootstrap: str, prefix: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Is wrong whatever is asked for: rules would have no order."""
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic(f"{prefix}control", 2, 1)])[f"{prefix}control"].result(30)
        said = call(capsys, "topics", "create", "--bootstrap", bootstrap, "--topic-prefix", prefix, "--repair")
        assert said.code == 3
        assert f"{prefix}control: partitions is 2, needed is 1" in said.out
