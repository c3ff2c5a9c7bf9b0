"""What one request has to do with Redis: until when it may wait, and whether something it got may be old.

Kept in a context variable, so that the ranking, which reads through a plain `Source`, need not hand it on.
"""

import time
from contextvars import ContextVar


class Attention:
    """One request's. Tasks that are started for the request share it."""

    __slots__ = ("_gave_up", "degraded", "until_s")

    def __init__(self, within_s: float) -> None:
        self.until_s = time.monotonic() + within_s
        self.degraded = False
        """Whether a value came from the stale cache, or did not come at all."""
        self._gave_up = False

    def give_up(self) -> None:
        """It has waited in vain, or need not try: from now on what is known here is enough."""
        self.degraded = self._gave_up = True

    def left_s(self) -> float:
        """How long this request may still wait; nothing once it has given up."""
        return 0.0 if self._gave_up else self.until_s - time.monotonic()


_CURRENT: ContextVar[Attention | None] = ContextVar("attention", default=None)


def begin(within_s: float) -> Attention:
    """From now on, in this task and those it starts."""
    attention = Attention(within_s)
    _CURRENT.set(attention)
    return attention


def current(within_s: float) -> Attention:
    """The request's, or a new one where there is none."""
    return _CURRENT.get() or begin(within_s)
