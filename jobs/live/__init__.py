"""The live job: from topics to topics and Redis, on a Flink cluster."""
