"""What crosses between operators: types and the place in time at which a bounded run ends."""

from typing import Any

from pyflink.common import Types

BYTES: Any = Types.PRIMITIVE_ARRAY(Types.BYTE())
KEYED_BYTES: Any = Types.ROW([Types.STRING(), BYTES])
"""(key, payload): the shape of every keyed stream."""
LINE: Any = Types.STRING()
"""One JSON line for a file or a topic."""

END_OF_TIME_MS = 2**63 - 2
"""When a bounded input ends, Flink fires all timers up to its largest watermark, 2**63 - 1; this is the last one."""
