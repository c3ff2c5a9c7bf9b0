"""Waiting until something is so, however slow the machine is."""

import time
from collections.abc import Callable

PATIENCE_S = 180.0
_FIRST_LOOK_S, _LAST_LOOK_S, _SLOWER = 0.05, 0.5, 1.3


def until(holds: Callable[[], bool], what: str = "what the test waits for", patience_s: float = PATIENCE_S) -> None:
    """Look again and again, more and more seldom.

    Raises:
        AssertionError: it has not come to be so in time.
    """
    deadline, look_s = time.monotonic() + patience_s, _FIRST_LOOK_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {what}"
        time.sleep(look_s)
        look_s = min(_LAST_LOOK_S, look_s * _SLOWER)
