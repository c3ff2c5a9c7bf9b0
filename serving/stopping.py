"""That the server ends, for all workers to see: made before they are forked."""

import mmap


class Stopping:
    """A byte of shared memory."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    def begin(self) -> None:
        """The server ends: whatever would go on for ever is to end by itself."""
        self._shared[0] = 1

    @property
    def has_begun(self) -> bool:
        """Whether it does."""
        return self._shared[0] != 0
