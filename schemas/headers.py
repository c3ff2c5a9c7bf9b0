"""Headers of Kafka records."""

SCHEMA_VERSION_HEADER = ("schema-version", b"1")
"""On every record that Segmill writes."""
