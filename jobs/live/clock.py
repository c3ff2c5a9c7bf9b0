"""The clock of the live job: see `state/quiet_clock.py`.

::

    events ────────────────────────────────────────────┬─> CUSTOMER
      └─(watermarks alone)─┬─> LIVE CLOCK ─> its time ─┘
    pulses, one a second ──┘       (watermarks alone)

Records of neither side branch reach the customers. Flink takes the lower one of two watermarks, so the customers'
clock is ahead neither of the events, which bring theirs along in order, nor of this clock; while the events are idle,
it is this clock's. Pulses are marked as idle, so that they have no say.
"""

from typing import Any, Final

from pyflink.common import Duration, Types, WatermarkStrategy
from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment

from jobs.graph import keyed, rows_with_time, side_output, watermarks_alone
from jobs.live.uids import give_uids
from operators.quiet_clock import QuietClockOperator
from operators.tags import REDIS
from operators.types import KEYED_BYTES

_TICKS: Final = Types.ROW([Types.STRING(), Types.LONG()])
SETTLED_MS: Final = 3_000
"""Time goes on so much later than Flink has marked the events as idle."""


def with_quiet_clock(
    tables: StreamTableEnvironment, events: DataStream, operator: QuietClockOperator
) -> tuple[DataStream, DataStream, DataStream]:
    """The events, with a clock that goes on while they are quiet; what is to be written to Redis of it; the clock."""
    ticks = keyed(watermarks_alone(events).union(_pulses(tables))).process(operator, output_type=_TICKS)
    ticks.name("quiet-clock").uid("quiet-clock").set_parallelism(1)
    timed = watermarks_alone(_timed(tables, ticks))
    return events.union(timed), side_output(ticks, REDIS), watermarks_alone(events).union(timed)


def timeless(stream: DataStream) -> DataStream:
    """The stream as one that has no say in what time it is."""
    strategy = WatermarkStrategy.no_watermarks().with_idleness(Duration.of_millis(1))
    return stream.assign_timestamps_and_watermarks(strategy)


def _pulses(tables: StreamTableEnvironment) -> DataStream:
    tables.execute_sql(
        "CREATE TEMPORARY TABLE pulses (n INT) WITH ('connector' = 'datagen', 'rows-per-second' = '1', "
        "'scan.parallelism' = '1')"
    )
    j_table = tables.sql_query("SELECT '' AS k, X'' AS v FROM pulses")._j_table
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
