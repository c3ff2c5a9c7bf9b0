"""A Python job: what one topic holds goes to another in capitals, exactly once. Arguments: bootstrap, from, to."""

import sys

from pyflink.common import Types, WatermarkStrategy
from pyflink.common.serialization import SimpleStringSchema
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import (
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)


def main(bootstrap: str, source_topic: str, sink_topic: str) -> None:
    """Run to the end of what the first topic holds now."""
    environment = StreamExecutionEnvironment.get_execution_environment()
    environment.set_parallelism(2)
    environment.enable_checkpointing(1_000)
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(bootstrap)
        .set_topics(source_topic)
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_bounded(KafkaOffsetsInitializer.latest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    serializer = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(sink_topic)
        .set_value_serialization_schema(SimpleStringSchema())
        .build()
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(bootstrap)
        .set_record_serializer(serializer)
        .set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .set_transactional_id_prefix("shout")
        .set_property("transaction.timeout.ms", "600000")
        .build()
    )
    lines = environment.from_source(source, WatermarkStrategy.no_watermarks(), "source")
    lines.map(lambda line: line.upper(), output_type=Types.STRING()).sink_to(sink)
    environment.execute("shout")


if __name__ == "__main__":
    main(*sys.argv[1:])
