"""Ports for a stack of its own."""

import os

from jobs.stack.plan import StackPlan
from jobs.stack.service import taken

_FIRST, _LAST, _EACH = 25_000, 32_000, 50  # below those that Linux gives to clients


def free_plan(brokers: int = 1, task_managers: int = 1) -> StackPlan:
    """A plan all of whose ports are free now; the search begins elsewhere in each process, so two runs seldom meet."""
    blocks = list(range(_FIRST, _LAST, _EACH))
    start = os.getpid() * 7 % len(blocks)
    for base in blocks[start:] + blocks[:start]:
        if not any(taken(port) for port in range(base, base + _EACH)):
            return StackPlan(brokers, task_managers, kafka_port=base, flink_port=base + 20, redis_port=base + 30)
    raise RuntimeError("no free ports for a stack")
