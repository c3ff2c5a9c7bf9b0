"""What every test needs."""

import signal
import sys

# Their plugins would import these at the end, in whatever state the tests left Python in: after Flink has run in its
# process, Python can compile nothing any more.
import hypothesis  # noqa: F401
import schemathesis.reporting.html.writer
import schemathesis.reporting.junitxml

try:
    import schemathesis.reporting.allure  # noqa: F401
except ImportError:  # it wants a package that nobody here wants
    sys.modules["schemathesis.reporting.allure"] = None  # type: ignore[assignment]

# A shell that starts the tests in the background lets them ignore Ctrl-C, and their children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
