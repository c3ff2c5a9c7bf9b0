"""Keyed state that holds plain bytes, in thread mode and in process mode.

In thread mode PyFlink would take a byte array apart into a tuple of integers, one by one; pemja hands over bytes
as they are, so the converter in between is replaced by the one that does nothing.
"""

from types import SimpleNamespace
from typing import Any

from pyflink.common import Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.state import ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor

from operators.types import BYTES


def bytes_value(context: RuntimeContext, name: str) -> Any:
    """A ValueState of bytes."""
    state = context.get_state(ValueStateDescriptor(name, BYTES))
    if not hasattr(state, "_value_converter"):
        return state
    javas = state._state  # its methods are called as they are: nothing is left to convert
    return SimpleNamespace(value=javas.value, update=javas.update, clear=javas.clear)


def bytes_list(context: RuntimeContext, name: str) -> Any:
    """A ListState of bytes."""
    state = context.get_list_state(ListStateDescriptor(name, BYTES))
    if not hasattr(state, "_element_converter"):
        return state
    from pyflink.fn_execution.embedded.converters import ListDataConverter  # loads only inside the JVM

    state._element_converter = _identity()
    state._value_converter = ListDataConverter(_identity())
    javas = state._state
    return SimpleNamespace(get=state.get, add=javas.add, update=state.update, clear=javas.clear)


def bytes_map(context: RuntimeContext, name: str) -> Any:
    """A MapState from integers to bytes."""
    state = context.get_map_state(MapStateDescriptor(name, Types.LONG(), BYTES))
    if hasattr(state, "_v_converter"):
        state._v_converter = _identity()
    return state


def bytes_by_string(name: str = "totals") -> Any:
    """The descriptor of a broadcast state from strings to bytes."""
    return MapStateDescriptor(name, Types.STRING(), BYTES)


def as_they_are(map_state: Any) -> Any:
    """Let a broadcast state hand over bytes as bytes."""
    if hasattr(map_state, "_v_converter"):
        map_state._v_converter = _identity()
    return map_state


def writable(broadcast_state: Any) -> Any:
    """A broadcast state of bytes that can be written at any time; None in process mode, where that cannot be had.

    What is written must be the same in all subtasks: with a record that is not broadcast, that is the caller's care.
    """
    try:
        from pyflink.fn_execution.datastream.embedded.state_impl import BroadcastStateImpl, ReadOnlyBroadcastStateImpl
    except ImportError:  # it loads only inside the JVM
        return None
    if not isinstance(broadcast_state, ReadOnlyBroadcastStateImpl):
        return None
    converters = SimpleNamespace(
        _key_converter=broadcast_state._k_converter, _value_converter=broadcast_state._v_converter
    )
    return BroadcastStateImpl(broadcast_state._state, converters)


def _identity() -> Any:
    from pyflink.fn_execution.embedded.converters import IdentityDataConverter  # loads only inside the JVM

    return IdentityDataConverter()
