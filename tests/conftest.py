"""What every test needs."""

import fcntl
import signal
import sys
from pathlib import Path

# Their plugins would import these at the end, in whatever state the tests left Python in: after Flink has run in its
# process, Python can compile nothing any more.
import hypothesis  # noqa: F401
import pytest
import schemathesis.reporting.html.writer
import schemathesis.reporting.junitxml

from jobs.compile_core import compile_core, missing_tool
from jobs.compiled_core import FOLDER, present_stamp, stamp_of

try:
    import schemathesis.reporting.allure  # noqa: F401
except ImportError:  # it wants a package that nobody here wants
    sys.modules["schemathesis.reporting.allure"] = None  # type: ignore[assignment]

# A shell that starts the tests in the background lets them ignore Ctrl-C, and their children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def compiled_if_possible() -> Path | None:
    """The core, compiled: what `make compiled` has left if it is of these sources, else one for tests alone.

    None: this machine has no compiler, which nothing else here needs.
    """
    if stamp_of(FOLDER) == present_stamp():
        return FOLDER
    if missing_tool():
        return None
    folder = FOLDER.with_name("compiled-for-tests")
    FOLDER.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:  # two processes of tests want it at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        compile_core(folder)
    return folder


@pytest.fixture(scope="session")
def compiled_tree(compiled_if_possible: Path | None) -> Path:
    """The same for tests that need it."""
    if compiled_if_possible is None:
        pytest.skip(missing_tool())
    return compiled_if_possible
