"""Timers for every key that an operator holds, which PyFlink has no words for.

In thread mode PyFlink's runtime context leads to Flink's own keyed state, which lists its keys one after another, from
memory or from disk; none of them is kept. Reaches into undocumented places of PyFlink 2.3.
"""

from importlib import import_module
from typing import Any


def every_key(runtime_context: Any, state_name: str, time_ms: int) -> bool:
    """Register an event-time timer at `time_ms` for each key with a value in a state; False where that cannot be done.

    The current key afterwards is that of before.
    """
    backend = keyed_backend(runtime_context)
    if backend is None:
        return False
    j_backend, timers, namespace = backend
    before = j_backend.getCurrentKey()
    keys = j_backend.getKeys(state_name, namespace)
    try:
        iterator = keys.iterator()
        while iterator.hasNext():
            j_backend.setCurrentKey(iterator.next())
            timers.register_event_time_timer(time_ms)
    finally:
        keys.close()
        if before is not None:
            j_backend.setCurrentKey(before)
    return True


def keyed_backend(runtime_context: Any) -> tuple[Any, Any, Any] | None:
    """Flink's keyed state, its timers, and the namespace of all states; None in process mode."""
    try:
        backend = runtime_context._keyed_state_backend
        j_backend, timers = backend._keyed_state_backend, backend._function_context.timer_service()
        namespace = import_module("pyflink.fn_execution.embedded.state_impl").JVoidNamespace_INSTANCE
    except (AttributeError, ImportError):
        return None
    return j_backend, timers, namespace


def watermark_ms(runtime_context: Any, ctx: Any) -> int:
    """The watermark while a broadcast record is processed: in thread mode its own context fails to tell it."""
    backend = getattr(runtime_context, "_keyed_state_backend", None)
    timers = ctx if backend is None else backend._function_context.timer_service()
    at_ms: int = timers.current_watermark()
    return at_ms
