"""The topic of control records as a stream: whole, in its one order, and without a say in the time."""

from pyflink.datastream import DataStream
from pyflink.table import Schema, StreamTableEnvironment

from jobs.live.clock import KEY, from_table, timeless
from jobs.live.java_client import java_properties, properties
from jobs.live.settings import LiveSpec
from jobs.live.source import MOST_BYTES, payload
from jobs.live.sql import options
from jobs.live.uids import give_uids


def control_records(tables: StreamTableEnvironment, spec: LiveSpec) -> DataStream:
    """Control records as (KEY, payload); the payload is that of an event."""
    tables.execute_sql(_table(spec))
    most_bytes = max(MOST_BYTES, spec.settings.max_record_bytes)
    j_table = tables.sql_query(f"SELECT '{KEY}' AS k, {payload(most_bytes)} AS v FROM control")._j_table  # noqa: S608
    schema = Schema.new_builder().column("k", "STRING NOT NULL").column("v", "BYTES NOT NULL").build()
    records = from_table(tables, j_table, schema)
    give_uids(records, "control-source", parallelism=1)
    return timeless(records).name("control-source").uid("control-source").set_parallelism(1)


def _table(spec: LiveSpec) -> str:
    client = {**java_properties(spec.kafka), "group.id": f"{spec.name}-control", "isolation.level": "read_committed"}
    values = {
        "connector": "kafka",
        "topic": spec.topics.control.name,
        "format": "raw",
        "scan.startup.mode": "earliest-offset",
        **properties(client),
    }
    return f"""
        CREATE TEMPORARY TABLE control (
            v BYTES,
            t STRING METADATA FROM 'topic' VIRTUAL,
            p INT METADATA FROM 'partition' VIRTUAL,
            o BIGINT METADATA FROM 'offset' VIRTUAL
        ) WITH {options(values)}"""
