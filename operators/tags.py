"""Side outputs of the operators. The names are part of the job graph.

A run that ends writes lines to files, a live job (key, payload) records to topics.
"""

from pyflink.datastream import OutputTag

from operators.types import KEYED_BYTES, LINE

SEGMENT_CHANGES = OutputTag("segment-changes", LINE)
REJECTED = OutputTag("rejected", LINE)
COUNTS = OutputTag("counts", LINE)
CHANGE_RECORDS = OutputTag("change-records", KEYED_BYTES)
MEMBERSHIP_RECORDS = OutputTag("membership-records", KEYED_BYTES)
REJECTED_RECORDS = OutputTag("rejected-records", KEYED_BYTES)
SIMILAR_RECORDS = OutputTag("similar-records", KEYED_BYTES)
MODELS = OutputTag("models", LINE)
MODEL_RECORDS = OutputTag("model-records", KEYED_BYTES)
STANDINGS = OutputTag("standings", KEYED_BYTES)
SNAPSHOTS = OutputTag("snapshots", KEYED_BYTES)
REDIS = OutputTag("redis", KEYED_BYTES)
TOTALS = OutputTag("totals", KEYED_BYTES)
CONTROL_RECORDS = OutputTag("control-records", KEYED_BYTES)
NOTHING = OutputTag("nothing", KEYED_BYTES)
"""What nobody ever puts anything into: watermarks alone come out of it."""
