"""Names for what Flink's tables put into the graph: state is found again by them after an upgrade."""

from typing import Any

from pyflink.datastream import DataStream


def give_uids(stream: DataStream, uid: str, parallelism: int | None = None) -> None:
    """Give a uid, and a parallelism, to every step before this stream that has no uid yet."""
    name_upwards(stream._j_data_stream.getTransformation(), uid, parallelism)


def name_upwards(j_transformation: Any, uid: str, parallelism: int | None = None) -> None:
    """The same from a step of Java on. Steps are counted from the end; those that have a uid are the bounds."""
    waiting, number = [j_transformation], 0
    while waiting:
        step = waiting.pop()
        if step.getUid() is not None:
            continue
        step.setUid(f"{uid}-{number}")
        if parallelism is not None:
            step.setParallelism(parallelism)
        number += 1
        waiting.extend(step.getInputs())
