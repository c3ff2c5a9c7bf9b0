"""What the tests of commands and of what they run have in common."""

from collections.abc import Iterator

import pytest

from jobs.runtime.gateway import Gateway
from jobs.runtime.workspace import workspace


@pytest.fixture(scope="package")
def gateway() -> Iterator[Gateway]:
    """One for all: PyFlink keeps objects of the first Java of a process."""
    with workspace() as folder, Gateway(folder / "java") as gateway:
        yield gateway
