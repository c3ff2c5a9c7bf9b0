"""Ctrl-C and SIGTERM as a question that a loop asks, so that it ends between two records and not within one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED_EXIT = 130
_TERMINATED_EXIT = 128 + signal.SIGTERM


class Stop:
    """Whether somebody wants the loop to end."""

    def __init__(self) -> None:
        self.asked = False  # no lock: a signal may come while its own thread holds it
        """Whether it is to end now."""
        self.exit_code = 0
        """What the process should end with, once asked."""

    def ask(self, exit_code: int) -> None:
        """Ask it to end."""
        self.exit_code = exit_code
        self.asked = True


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """The first Ctrl-C or SIGTERM asks; the second raises, for whoever cannot wait."""
    stop = Stop()

    def ask(number: int, _: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.ask(INTERRUPTED_EXIT if number == signal.SIGINT else _TERMINATED_EXIT)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
