"""A key that leads nowhere else: records that carry it stay in the subtask that gives it to them.

State is divided into groups of keys, and each subtask of every operator has the same groups as that of another operator
with as many subtasks. So an operator that works for the records of a subtask, whatever they are about, can be keyed
and yet be chained behind the one that makes them; after a change of parallelism its state is wherever its group is.
"""

from collections.abc import Sequence
from typing import Any

from pyflink.datastream import RuntimeContext


def own_key(context: RuntimeContext, keys: Sequence[str]) -> str:
    """Of `keys`, one for each group in the order of groups, the first of the subtask's own.

    The groups of a subtask: Flink's `KeyGroupRangeAssignment.computeKeyGroupRangeForOperatorIndex`.
    """
    at, subtasks = _place(context)
    return keys[-(-at * len(keys) // subtasks)]


def _place(context: Any) -> tuple[int, int]:
    """The subtask's number, from 0, of how many. In thread mode PyFlink 2.3 asks Java for what Flink 2 has no more."""
    java = getattr(context, "_runtime_context", None)
    if java is None:
        return context.get_index_of_this_subtask(), context.get_number_of_parallel_subtasks()
    task = java.getTaskInfo()
    return task.getIndexOfThisSubtask(), task.getNumberOfParallelSubtasks()
