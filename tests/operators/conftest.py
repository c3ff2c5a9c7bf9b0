"""An embedded Valkey for the tests of this folder."""

from collections.abc import Iterator

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from jobs.runtime.workspace import workspace


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedValkey]:
    with workspace() as folder, EmbeddedValkey(folder / "valkey") as server:
        yield server
