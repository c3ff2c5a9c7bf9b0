"""Threads that carry records: those of one customer always the same one, so they stay in order."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal
from zlib import crc32

Outcome = Literal["delivered", "dead"]


@dataclass(frozen=True, slots=True)
class Task:
    """A record on its way."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, str | bytes | None], ...] = ()
    timestamp_ms: int = 0


Pause = Callable[[float], bool]
"""Waits so many seconds; False if the task is to be given up, which may be at once."""
Carry = Callable[[Task, Pause], Outcome | None]
"""Delivers a task; None if it was given up on the way. Called by many threads."""


class Lanes:
    """A number of threads, each with its own queue."""

    def __init__(self, count: int, carry: Carry) -> None:
        """Start the threads."""
        self._carry = carry
        self._finished: SimpleQueue[tuple[Task, Outcome]] = SimpleQueue()
        self._changed = threading.Condition()
        self._queues: list[deque[Task]] = [deque() for _ in range(count)]
        self._carried: Counter[int] = Counter()
        """Partition -> tasks that a thread is at."""
        self._revoked: set[int] = set()
        self._closing = self._closed = False
        self.fault: BaseException | None = None
        """What ended a thread, if one ended."""
        self._threads = [threading.Thread(target=self._run, args=(queue,), daemon=True) for queue in self._queues]
        for thread in self._threads:
            thread.start()

    def put(self, task: Task) -> None:
        """Hand over a task; behind all those of the same key."""
        with self._changed:
            self._queues[crc32(task.key or b"") % len(self._queues)].append(task)
            self._changed.notify_all()

    def finished(self) -> list[tuple[Task, Outcome]]:
        """What was finished since the last call."""
        found = []
        while True:
            try:
                found.append(self._finished.get_nowait())
            except Empty:
                return found

    def assign(self, partitions: Collection[int]) -> None:
        """Tasks of these partitions will come."""
        with self._changed:
            self._revoked -= set(partitions)

    def revoke(self, partitions: Collection[int], patience_s: float) -> None:
        """Forget tasks of these partitions; returns when no thread is at one of them, or when patience is over.

        Whoever has the partitions next would otherwise overtake what is still on its way here.
        """
        with self._changed:
            self._revoked |= set(partitions)
            for queue in self._queues:
                kept = [task for task in queue if task.partition not in self._revoked]
                queue.clear()
                queue.extend(kept)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not any(self._carried[part] for part in partitions), patience_s)

    def close(self, patience_s: float) -> bool:
        """Let the threads finish what they have, for so long; False if one is still at a task then.

        Nothing is waited for: where a task would have to be tried again later, its thread ends, and forgets the rest.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        until = time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        with self._changed:
            self._closed = True
            return not self._carried.total()

    def _run(self, queue: deque[Task]) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: queue or self._closing)
                if self._closed or not queue:
                    return
                task = queue.popleft()
                self._carried[task.partition] += 1
            try:
                outcome = self._carry(task, lambda seconds, task=task: self._pause(task, seconds))  # type: ignore[misc]
                if outcome is not None:
                    self._finished.put((task, outcome))
            except BaseException as error:  # noqa: BLE001  (told to whoever waits; a thread has no other way)
                self.fault = error
                return
            finally:
                with self._changed:
                    self._carried[task.partition] -= 1
                    self._changed.notify_all()
            if outcome is None and self._closing:
                return  # what follows may be of the same customer, and must not overtake it

    def _pause(self, task: Task, seconds: float) -> bool:
        with self._changed:
            given_up = self._changed.wait_for(lambda: self._closing or task.partition in self._revoked, seconds)
        return not given_up
