"""The table of topics, and which settings will do."""

import re

import pytest

from jobs.topic_care import fits
from jobs.topics import NAME, Topics


class TestTable:
    def test_names(self) -> None:
        """Other systems rely on them."""
        names = [
            "events",
            "segment-changes",
            "segment-memberships",
            "events-rejected",
            "similar-items",
            "population-memberships",
            "models",
            "control",
        ]
        assert [topic.name for topic in Topics().all] == names
        assert [topic.name for topic in Topics("shop-2.").all] == ["shop-2." + name for name in names]
        assert all(re.fullmatch(NAME, topic.name) for topic in Topics("shop-2.").all)

    def test_history_is_kept(self) -> None:
        """Nothing that has to be whole is deleted by age or size."""
        for topic in (Topics().events, Topics().segment_changes, Topics().control):
            assert (topic.config["retention.ms"], topic.config["retention.bytes"]) == ("-1", "-1")

    def test_one_order_of_control(self) -> None:
        """So one partition."""
        assert [topic.name for topic in Topics().all if topic.partitions == 1] == ["control"]


class TestFits:
    @pytest.mark.parametrize(
        ("setting", "found", "needed", "enough"),
        [
            ("retention.ms", "-1", "-1", True),
            ("retention.ms", "604800000", "-1", False),
            ("retention.ms", "-1", "2592000000", True),
            ("retention.ms", "2592000001", "2592000000", True),
            ("retention.ms", "2591999999", "2592000000", False),
            ("max.message.bytes", "1048588", "12582912", False),
            ("cleanup.policy", "compact,delete", "compact", False),
            ("message.timestamp.type", "LogAppendTime", "CreateTime", False),
            ("message.timestamp.after.max.ms", "9223372036854775807", "86400000", False),
        ],
    )
    def test_more_may_do(self, setting: str, found: str, needed: str, enough: bool) -> None:
        """Of retention and sizes; nothing else."""
        assert fits(setting, found, needed) is enough
