"""Side outputs of the operators. The names are part of the job graph."""

from pyflink.datastream import OutputTag

from operators.types import KEYED_BYTES, LINE

SEGMENT_CHANGES = OutputTag("segment-changes", LINE)
REJECTED = OutputTag("rejected", LINE)
COUNTS = OutputTag("counts", LINE)
REDIS = OutputTag("redis", KEYED_BYTES)
TOTALS = OutputTag("totals", KEYED_BYTES)
