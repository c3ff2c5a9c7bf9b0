"""A Kafka, a Flink session cluster and a Redis on this machine, on loopback: real servers to try and test jobs with."""
