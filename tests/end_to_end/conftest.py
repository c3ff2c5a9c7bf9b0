"""One hard log, and the run that the others are compared with."""

from pathlib import Path

import pytest
from segmill_runs import HARD, Run, run

from jobs.simulation.log import write_log


@pytest.fixture(scope="session")
def hard_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shuffled within the lateness, with duplicates, malformed lines and refunds before their orders."""
    path = tmp_path_factory.mktemp("hard") / "log.jsonl"
    write_log(HARD, path)
    return path


@pytest.fixture(scope="session")
def hard_run(hard_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("run"), hard_log)
