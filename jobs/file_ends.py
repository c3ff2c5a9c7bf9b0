"""Files at both ends of the graph: the spool as its source, JSON lines as its sinks."""

from pathlib import Path

from pyflink.common import Encoder
from pyflink.datastream import DataStream
from pyflink.datastream.connectors.file_system import BucketAssigner, FileSink, OutputFileConfig, RollingPolicy
from pyflink.table import StreamTableEnvironment

from jobs.flink_path import flink_path
from jobs.graph import Sink, Source, rows_with_time

_LARGEST_PART_BYTES = 1 << 40
_FOREVER_MS = 1 << 40


def spool_source(spool: Path, out_of_orderness_ms: int) -> Source:
    """Read a spool file in order, with the watermark `out_of_orderness_ms` behind the newest event, after every event.

    (After every event: with `pipeline.auto-watermark-interval` 0. So what happens depends on the input alone.)
    """

    def add(tables: StreamTableEnvironment) -> DataStream:
        path = flink_path(spool).replace("'", "''")
        tables.execute_sql(f"""
            CREATE TEMPORARY TABLE spool (
                k STRING NOT NULL, t BIGINT NOT NULL, v BYTES NOT NULL,
                ts AS TO_TIMESTAMP_LTZ(t, 3), WATERMARK FOR ts AS TO_TIMESTAMP_LTZ(t - {out_of_orderness_ms:d}, 3)
            ) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv')""")
        return rows_with_time(tables, "SELECT k, v, ts FROM spool")

    return add


def lines_to_folder(folder: Path) -> Sink:
    """Write lines, in order, to part files in `folder`; `joined` reads them."""

    def add(stream: DataStream, uid: str) -> None:
        sink = (
            FileSink.for_row_format(flink_path(folder), Encoder.simple_string_encoder())
            .with_bucket_assigner(BucketAssigner.base_path_bucket_assigner())
            .with_rolling_policy(RollingPolicy.default_rolling_policy(_LARGEST_PART_BYTES, _FOREVER_MS, _FOREVER_MS))
            .with_output_file_config(OutputFileConfig.builder().with_part_prefix("part").build())
            .build()
        )
        stream.sink_to(sink).name(uid).uid(f"{uid}-sink")

    return add
