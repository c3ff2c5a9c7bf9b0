"""`segmill stack`: real servers, on loopback only, that come back with their data and leave nothing behind."""

import pytest

from jobs.stack.stack import Stack

pytestmark = pytest.mark.cluster


class TestUp:
    def test_all_of_it_answers(self, stack: Stack) -> None:
        """A broker, a JobManager, two TaskManagers, Redis."""
        assert {one.name: one.answering for one in stack.status()} == dict.fromkeys(
            ["redis", "broker-1", "jobmanager", "taskmanager-1", "taskmanager-2"], True
        )
