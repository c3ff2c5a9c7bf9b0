"""The logic that reads the control stream, one for the whole job: what can take effect goes on, the rest is refused."""

from collections.abc import Iterable

from schemas.control import refused
from schemas.rejects import Rejected, rejected_from_topic
from schemas.settings import Settings
from state.channels import Channel, Output
from state.customer.book import check_control
from state.customer.logic import PLACE_END, REFUSED


class ControlLogic:
    """Refuses a record once, and not in every subtask of the customers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def on_record(self, key: str, payload: bytes) -> Iterable[Output]:
        """One record: place, PLACE_END, raw bytes; a place with REFUSED says why its reader could not take it."""
        place, _, raw = payload.partition(PLACE_END)
        place, *why = place.split(REFUSED)
        try:
            if why:
                raise refused(why[1].decode("utf-8", "replace"))
            check_control(raw, self._settings)
        except Rejected as rejected:
            size = int(why[2]) if len(why) > 2 else None
            where = place.decode("utf-8", "replace")
            line = rejected_from_topic(rejected.reason, rejected.detail, where, raw, size)
            return [(Channel.REJECTED, key, line)]
        return [(Channel.CONTROL, key, raw)]
