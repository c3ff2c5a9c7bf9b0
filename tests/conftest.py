"""What every test needs."""

import signal

import hypothesis  # noqa: F401 - its plugin would import it at the end, in whatever state the tests left Python in

# A shell that starts the tests in the background lets them ignore Ctrl-C, and their children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
