"""The topic of events as the source of the graph: keyed, cut and timed in Java, whatever its records hold.

No record can stop the job here. What SQL cannot read as JSON (binary, another encoding, nesting without end, numbers
without end) has no subject for it, and goes on with the key '' to where the decoder says why it is rejected. A record
without a value, or one above MOST_BYTES, of which the beginning goes on, says so in its place.
"""

from typing import Final

from pyflink.datastream import DataStream
from pyflink.table import StreamTableEnvironment

from jobs.graph import rows_with_time
from jobs.live.clock import SETTLED_MS, Clocked, with_quiet_clock
from jobs.live.java_client import java_properties, properties
from jobs.live.settings import LiveSpec
from jobs.live.sql import control_character, options, text
from jobs.live.uids import give_uids
from operators.quiet_clock import QuietClockOperator
from schemas.rejects import RAW_MAX_BYTES, Reason
from schemas.settings import DAY_MS

MOST_BYTES: Final = 4 << 20
"""Longer records do not travel to Python, if `max_record_bytes` does not allow for more."""
SCHEMA_VERSION: Final = "1"
_FETCH_BYTES: Final = 64 << 10
"""Of a partition at once: the less, the sooner all have a say in what time it is. (Larger records do come.)"""
_FETCH_TOGETHER_BYTES, _FETCH_WAIT_MS = 16 << 10, 10
"""A broker holds an answer back so long for so much: each answer costs both sides as much as some fifty records do."""
_CHARACTER_BYTES: Final = 4
"""So much more than is quoted of a long record is handed on: whether a character would be cut can then be seen."""
_LATIN_1: Final = text("ISO-8859-1")
"""In this encoding every byte is a character and the other way round: texts that hold bytes."""
_SIZE: Final = f"CHAR_LENGTH(DECODE(v, {_LATIN_1}))"
_SUBJECT: Final = text(r"\A[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+\z")
"""What is not like this the decoder rejects."""
_PLACE_END, _REFUSED = control_character(0x1F), control_character(0x1E)


def add_events(tables: StreamTableEnvironment, spec: LiveSpec, control: DataStream | None = None) -> Clocked:
    """Events of the topic as (subject, payload), with the watermarks of its partitions and of the quiet clock.

    `control`: records that are to have the same time.
    """
    tables.execute_sql(_table(spec))
    events = rows_with_time(tables, _query(max(MOST_BYTES, spec.settings.max_record_bytes)))
    give_uids(events, "events")
    facts = {"schema_version": SCHEMA_VERSION, "currency": spec.settings.currency}
    settled_ms = spec.quiet_after_ms + SETTLED_MS
    clock = QuietClockOperator(settled_ms, spec.settings, spec.rule_version, facts)
    return with_quiet_clock(tables, events, control, clock)


def _table(spec: LiveSpec) -> str:
    """The topic; what a producer with a wrong clock says moves no watermark."""
    client = {
        **java_properties(spec.kafka),
        "group.id": spec.name,
        "isolation.level": "read_committed",
        "max.partition.fetch.bytes": str(_FETCH_BYTES),
        "fetch.min.bytes": str(_FETCH_TOGETHER_BYTES),
        "fetch.max.wait.ms": str(_FETCH_WAIT_MS),
    }
    values = {
        "connector": "kafka",
        "topic": spec.topics.events.name,
        "format": "raw",
        "scan.startup.mode": f"{spec.starting}-offset",
        "scan.watermark.idle-timeout": f"{spec.quiet_after_ms} ms",
        **properties(client),
    }
    behind, ahead = _interval(spec.settings.out_of_orderness_ms), _interval(spec.settings.max_future_ms)
    return f"""
        CREATE TEMPORARY TABLE events (
            v BYTES,
            t STRING METADATA FROM 'topic' VIRTUAL,
            p INT METADATA FROM 'partition' VIRTUAL,
            o BIGINT METADATA FROM 'offset' VIRTUAL,
            ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
            WATERMARK FOR ts AS CASE WHEN ts <= CURRENT_TIMESTAMP + {ahead} THEN ts - {behind} END
        ) WITH {options(values)}"""


def _interval(length_ms: int) -> str:
    """A length of time; what SQL can say ends before a thousand days."""
    days, rest_ms = divmod(min(length_ms, 999 * DAY_MS), DAY_MS)
    hours, rest_ms = divmod(rest_ms, 3_600_000)
    minutes, rest_ms = divmod(rest_ms, 60_000)
    return f"INTERVAL '{days} {hours:02d}:{minutes:02d}:{rest_ms / 1000:06.3f}' DAY(3) TO SECOND(3)"


def _query(most_bytes: int) -> str:
    """`k`: the subject, '' if there is none to be seen; `v`: place, 0x1F, raw bytes."""
    return f"""
        SELECT
            CASE
                WHEN v IS NULL OR {_SIZE} > {most_bytes} THEN ''
                ELSE COALESCE({_field("customer_id")}, {_field("anonymous_id")}, '')
            END AS k,
            {payload(most_bytes)} AS v,
            ts
        FROM events"""  # noqa: S608  (as above)


def payload(most_bytes: int) -> str:
    """Of a record with topic `t`, partition `p`, offset `o` and value `v`: place, 0x1F, raw bytes; all of it in SQL."""
    raw, size = f"DECODE(v, {_LATIN_1})", _SIZE
    null = f"CONCAT({_REFUSED}, {text(Reason.NULL_VALUE)}, {_REFUSED}, 'the record has no value', {_PLACE_END})"
    detail = f"CONCAT(CAST({size} AS STRING), ' bytes; more than {most_bytes} are not looked at')"
    cut = f"SUBSTRING({raw}, 1, {RAW_MAX_BYTES + _CHARACTER_BYTES})"
    large = ", ".join(
        [
            _REFUSED,
            text(Reason.RECORD_TOO_LARGE),
            _REFUSED,
            detail,
            _REFUSED,
            f"CAST({size} AS STRING)",
            _PLACE_END,
            cut,
        ]
    )
    return f"""
            ENCODE(CONCAT(
                t, ':', CAST(p AS STRING), ':', CAST(o AS STRING),
                CASE WHEN v IS NULL THEN {null} WHEN {size} > {most_bytes} THEN CONCAT({large})
                ELSE CONCAT({_PLACE_END}, {raw}) END
            ), {_LATIN_1})"""


def _field(name: str) -> str:
    """The text in a field of the event, NULL if it is not there, empty or no id."""
    return f"REGEXP_EXTRACT(JSON_VALUE(DECODE(v, 'UTF-8'), '$.{name}' NULL ON EMPTY NULL ON ERROR), {_SUBJECT}, 0)"
