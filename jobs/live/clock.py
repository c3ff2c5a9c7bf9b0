"""The clock of the live job: see `state/quiet_clock.py`.

::

    events ────────────────────────────────────────────┬─> CUSTOMER
      └─(watermarks alone)─┬─> LIVE CLOCK ─> its time ─┤
    pulses, one a second ──┤    │  (watermarks alone)  ├─> CONTROL
    control records ───────┘    └─> control records ───┘

Records of neither side branch reach the customers. Flink takes the lower one of two watermarks, so the customers'
clock is ahead neither of the events, which bring theirs along in order, nor of this clock; while the events are idle,
it is this clock's. Pulses and control records are marked as idle, so that they have no say.

CONTROL has the customers' clock. So no watermark behind it is ahead of its own: what it settles as of its next
millisecond is known everywhere before that millisecond is over.
"""

from typing import Any, Final, NamedTuple

from pyflink.common import Duration, Types, WatermarkStrategy
from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment

from jobs.graph import keyed, rows_with_time, side_output, watermarks_alone
from jobs.live.uids import give_uids
from operators.quiet_clock import QuietClockOperator
from operators.tags import CONTROL_RECORDS, REDIS
from operators.types import KEYED_BYTES

_TICKS: Final = Types.ROW([Types.STRING(), Types.LONG()])
KEY: Final = ""
"""Of pulses and control records."""
SETTLED_MS: Final = 3_000
"""Time goes on so much later than Flink has marked the events as idle."""


class Clocked(NamedTuple):
    """What comes out of the clock; the first two streams have its time."""

    events: DataStream
    control: DataStream
    redis: DataStream
    """(anything, write) of what is known of the job."""


def with_quiet_clock(
    tables: StreamTableEnvironment, events: DataStream, control: DataStream | None, operator: QuietClockOperator
) -> Clocked:
    """Events, and control records if there are any, with a clock that goes on while the events are quiet."""
    pulses = watermarks_alone(events).union(_pulses(tables))
    ticks = keyed(pulses if control is None else pulses.union(control)).process(operator, output_type=_TICKS)
    ticks.name("quiet-clock").uid("quiet-clock").set_parallelism(1)
    time = watermarks_alone(_timed(tables, ticks))
    return Clocked(
        events.union(time),
        side_output(ticks, CONTROL_RECORDS).union(watermarks_alone(events), time),
        side_output(ticks, REDIS),
    )


def timeless(stream: DataStream) -> DataStream:
    """The stream as one that has no say in what time it is."""
    strategy = WatermarkStrategy.no_watermarks().with_idleness(Duration.of_millis(1))
    return stream.assign_timestamps_and_watermarks(strategy)


def _pulses(tables: StreamTableEnvironment) -> DataStream:
    tables.execute_sql(
        "CREATE TEMPORARY TABLE pulses (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1', "
        "'scan.parallelism' = '1')"
    )
    j_table = tables.sql_query(f"SELECT '{KEY}' AS k, X'' AS v FROM pulses")._j_table  # noqa: S608
    schema = Schema.new_builder().column("k", "STRING NOT NULL").column("v", "BYTES NOT NULL").build()
    pulses = from_table(tables, j_table, schema)
    give_uids(pulses, "pulses", parallelism=1)
    return timeless(pulses).name("pulses").uid("pulses").set_parallelism(1)


def from_table(tables: StreamTableEnvironment, j_table: Any, schema: Schema) -> DataStream:
    """A table of `k STRING, v BYTES` as (key, payload) rows without times."""
    mode = get_gateway().jvm.org.apache.flink.table.connector.ChangelogMode.insertOnly()
    stream = DataStream(tables._j_tenv.toChangelogStream(j_table, schema._j_schema, mode))
    stream._j_data_stream.getTransformation().setOutputType(KEYED_BYTES.get_java_type_info())
    return stream


def _timed(tables: StreamTableEnvironment, ticks: DataStream) -> DataStream:
    """Ticks whose watermark is what they say. They are never idle, whatever the source and the pulses are."""
    steady = ticks.assign_timestamps_and_watermarks(WatermarkStrategy.no_watermarks())  # lets no idleness through
    steady.name("steady").uid("steady").set_parallelism(1)
    schema = Schema.new_builder().column_by_expression("ts", "TO_TIMESTAMP_LTZ(f1, 3)").watermark("ts", "ts").build()
    tables.create_temporary_view("ticks", tables.from_data_stream(steady, schema))
    timed = rows_with_time(tables, "SELECT f0 AS k, X'' AS v, ts FROM ticks")
    give_uids(timed, "ticks", parallelism=1)
    return timed
