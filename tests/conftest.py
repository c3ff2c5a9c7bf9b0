"""What every test needs."""

import signal
import sys
from pathlib import Path

# Their plugins would import these at the end, in whatever state the tests left Python in: after Flink has run in its
# process, Python can compile nothing any more.
import hypothesis  # noqa: F401
import pytest
import schemathesis.reporting.html.writer
import schemathesis.reporting.junitxml

from jobs.compile_core import compile_core
from jobs.compiled_core import FOLDER, present_stamp, stamp_of

try:
    import schemathesis.reporting.allure  # noqa: F401
except ImportError:  # it wants a package that nobody here wants
    sys.modules["schemathesis.reporting.allure"] = None  # type: ignore[assignment]

# A shell that starts the tests in the background lets them ignore Ctrl-C, and their children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def compiled_tree() -> Path:
    """The core, compiled: what `make compiled` has left if it is of these sources, else one for tests alone."""
    if stamp_of(FOLDER) == present_stamp():
        return FOLDER
    folder = FOLDER.with_name("compiled-for-tests")
    compile_core(folder)
    return folder
