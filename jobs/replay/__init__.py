"""A log into a Kafka topic, as if it happened now."""
