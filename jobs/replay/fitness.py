"""Whether a topic would keep what is replayed into it."""

from dataclasses import dataclass, replace

from jobs.kafka_client import KafkaTarget
from jobs.replay.position import ReplayProblem
from jobs.topic_care import TopicCare
from jobs.topics import FOREVER, Topics, taken_for
from schemas.timestamps import format_ms

_DEFAULT_BATCH_BYTES = 1_048_588


@dataclass(frozen=True, slots=True)
class Fitness:
    """What a topic takes, and what should be said about it."""

    topic_id: str
    partitions: int
    max_message_bytes: int
    oldest_ms: int
    """An older record would be refused or soon be deleted."""
    ahead_ms: int
    """A record further ahead of the clock would be refused."""
    warnings: tuple[str, ...] = ()


def fitness_of(target: KafkaTarget, name: str, first_ms: int, now_ms: int) -> Fitness:
    """Look at a topic before the first record of a log, which is of `first_ms`, goes there.

    Raises:
        KafkaProblem: no broker answers.
        ReplayProblem: there is no such topic, or it would not keep the log.
    """
    if taken_for(name) not in (None, Topics().events.name):
        raise ReplayProblem(
            f"{name} is a topic for something else than events: names that end in {taken_for(name)!r} are those of "
            "what jobs write, or of control; give --topic another one"
        )
    care = TopicCare(target)
    if name not in care.names:
        raise ReplayProblem(
            f"no topic {name!r} at {target.bootstrap}: `segmill topics create` makes those of a live job"
        )
    events = replace(Topics().events, name=name)
    (found,) = care.check([events], None, None)
    config = care.configs([name])[name]
    wrong = {one.setting: one.found for one in found.differences}
    kept_ms = _endless(config["retention.ms"])
    before_ms = _endless(config.get("message.timestamp.before.max.ms", FOREVER))
    oldest_ms = max(0 if limit_ms is None else now_ms - limit_ms for limit_ms in (kept_ms, before_ms))
    faults = [
        *(f"{setting}={wrong[setting]}: {why}" for setting, why in _FATAL.items() if setting in wrong),
        *([] if first_ms >= oldest_ms else [_eaten(kept_ms, before_ms, first_ms, now_ms)]),
    ]
    if faults:
        raise ReplayProblem(f"{name} would not keep this log: {'; '.join(faults)}. {_remedy(name)}")
    warnings = []
    if kept_ms is not None:
        warnings.append(
            f"{name} keeps records for {kept_ms / 86_400_000:.3g} days only (retention.ms): {_remedy(name)}"
        )
    if found.partitions == 1:
        warnings.append(f"{name} has one partition: a job cannot read it in parallel")
    return Fitness(
        topic_id=care.topic_id(name),
        partitions=found.partitions,
        max_message_bytes=int(config.get("max.message.bytes", _DEFAULT_BATCH_BYTES)),
        oldest_ms=oldest_ms,
        ahead_ms=_endless(config.get("message.timestamp.after.max.ms", FOREVER)) or _A_CENTURY_MS,
        warnings=tuple(warnings),
    )


_A_CENTURY_MS = 100 * 365 * 86_400_000
_FATAL = {
    "cleanup.policy": "it would keep the newest event of each customer only",
    "retention.bytes": "the oldest events would be deleted as the topic grows",
    "message.timestamp.type": "the times of the events would be lost",
    "min.insync.replicas": "more than it has copies: nothing can be written",
}


def _eaten(kept_ms: int | None, before_ms: int | None, first_ms: int, now_ms: int) -> str:
    begins = f"the log begins at {format_ms(first_ms)}"
    if kept_ms is not None and first_ms < now_ms - kept_ms:
        return f"{begins}, and retention.ms={kept_ms} would delete that"
    return f"{begins}, and message.timestamp.before.max.ms={before_ms} refuses that"


def _remedy(name: str) -> str:
    for topics in (Topics(), Topics(name.removesuffix("events"))):
        if topics.events.name == name:
            prefix = f" --topic-prefix {topics.prefix}" if topics.prefix else ""
            return f"`segmill topics create --repair{prefix}` mends it"
    return "docs/kafka.md says what the settings should be"


def _endless(value: str) -> int | None:
    return None if int(value) < 0 else int(value)
