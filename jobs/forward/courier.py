"""Carries one record to the endpoint: again and again while that may help, else to the dead letters."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from typing import Protocol

import msgspec

from jobs.forward.endpoint import Answer
from jobs.forward.errors import ForwardProblem
from jobs.forward.lanes import Outcome, Pause, Task

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0


class _Named(msgspec.Struct):
    change_id: str | None = None


_named = msgspec.json.Decoder(_Named).decode


class Receiver(Protocol):
    """Takes one attempt."""

    def post(self, message_id: str, body: bytes) -> Answer: ...


class DeadEnd(Protocol):
    """Takes what cannot be delivered."""

    def put(self, task: Task, reason: str, status: int | None, attempts: int) -> None: ...


@dataclass(slots=True)
class Tally:
    """What has been done, by all threads together."""

    attempts: int = 0
    failed: int = 0
    """Attempts that are made again."""
    last_failure: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def attempt(self) -> None:
        """One more."""
        with self._lock:
            self.attempts += 1

    def failure(self, detail: str) -> None:
        """One that failed, for now."""
        with self._lock:
            self.failed += 1
            self.last_failure = detail


@dataclass(frozen=True, slots=True)
class Courier:
    """For use by several threads."""

    topic: str
    receiver: Receiver
    dead_end: DeadEnd
    retry_for_s: float
    """So long after its first attempt a record is still tried."""
    tally: Tally = field(default_factory=Tally)
    jitter: Callable[[], float] = random.random

    def carry(self, task: Task, pause: Pause) -> Outcome | None:
        """Deliver a record; None if it was given up on the way.

        Raises:
            ForwardProblem: the receiver wants no more, or dead letters cannot be written.
        """
        message_id, body = identity(self.topic, task), body_of(task)
        began = time.monotonic()
        for attempt in count(1):
            self.tally.attempt()
            answer = self.receiver.post(message_id, body)
            if answer.kind == "delivered":
                return "delivered"
            if answer.kind == "gone":
                raise ForwardProblem("the receiver answers 410 Gone: it wants no more webhooks; nothing of it is lost")
            reason = answer.detail
            if answer.kind == "again":
                self.tally.failure(answer.detail)
                pause_s = max(answer.retry_after_s, backoff_s(attempt, self.jitter()))
                if time.monotonic() - began + pause_s <= self.retry_for_s:
                    if not pause(pause_s):
                        return None
                    continue
                reason = f"{answer.detail}, given up after {time.monotonic() - began:.0f} s"
            self.dead_end.put(task, reason, answer.status, attempt)
            return "dead"
        raise AssertionError("count() has no end")


def backoff_s(attempt: int, jitter: float) -> float:
    """How long to wait after an attempt (the first is 1): doubling, half of it or up to all by `jitter` in [0, 1)."""
    longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempt - 1, 30))
    return longest * (0.5 + jitter / 2)


def identity(topic: str, task: Task) -> str:
    """The webhook's id: the change's own where it has one, else made from its place. Never with a full stop in it."""
    try:
        change_id = _named(task.value or b"{}").change_id
    except msgspec.DecodeError:
        change_id = None
    if change_id and change_id.isascii() and change_id.isalnum() and len(change_id) <= 64:
        return change_id
    return blake2b(f"{topic}:{task.partition}:{task.offset}".encode(), digest_size=12).hexdigest()


def body_of(task: Task) -> bytes:
    """The record's value; of a record without one, `{"key": …, "value": null}`."""
    if task.value is not None:
        return task.value
    key = None if task.key is None else task.key.decode("utf-8", "replace")
    return msgspec.json.encode({"key": key, "value": None})
