"""Logics that do next to nothing, to see what the engine alone costs: importable where the operators run."""

from operators.logic import KeyedStore, Step

STATE_BYTES = 1_500
"""About the median of what a real customer's state measures."""


class Nothing:
    """Takes every event and does nothing with it."""

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step:
        """No state, no output, no timer."""
        return None, ()

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: KeyedStore) -> Step:
        """Nothing at the end either."""
        return None, ()


class StateOnly(Nothing):
    """Writes a state of a usual size with every event, as the customer logic does; it reads from its cache, too."""

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step:
        """State, no output."""
        store.save(payload[:1] * STATE_BYTES)
        return None, ()
