"""The assign operator's logic for a run that ends: standings and views in the order of event time, however they come.

::

    standings of a customer    s1 (t=5)      s2 (t=9)
    views                              v7 (t=8)
    seen                       s1 as before, [s1 with v7], s2 with v7

What comes is held until the watermark has passed its time, so that the result does not depend on which of two streams
was faster: neither a standing nor a view comes with a time that the watermark of its stream has passed. A new view
wakes nobody: a customer is seen with it as of its time when anything of their own turns, or at the end, which is all
that readers of such a run are shown. (A live job sees everybody with a new view at once.)

Nothing is saved: a run that fails is run again.
"""

from collections.abc import Iterable
from heapq import heappop, heappush

from state.channels import Output
from state.population.assign import AssignLogic
from state.population.assigned import Assigned
from state.population.standing import Standing
from state.population.stores import ValueStore
from state.population.view import PopulationView

Step = tuple[int | None, Iterable[Output]]


class InTime:
    """Wraps an `AssignLogic`. Bound: the standings of the time between the newest event and the watermark."""

    def __init__(self, logic: AssignLogic, as_of_ms: int) -> None:
        """`as_of_ms`: the end of the run, beyond which time does not pass."""
        self._logic, self._as_of_ms = logic, as_of_ms
        self.tally = logic.tally
        logic.whole = False
        self._held: dict[str, list[tuple[int, int, Standing]]] = {}
        """By customer, a heap of (time, number, standing)."""
        self._views: list[tuple[int, int, PopulationView]] = []
        self._number = 0

    def on_start(self, kept: object) -> bool:
        """There is nothing to go on with."""
        del kept
        return False

    def on_broadcast(self, payload: bytes, kept: object) -> bool:
        """A view that is in force from its time on; nobody is to be woken."""
        del kept
        view = PopulationView.unpacked(payload)
        heappush(self._views, (view.at_ms, view.number, view))
        return False

    def on_standing(self, key: str, payload: bytes, watermark_ms: int, store: ValueStore) -> Step:
        """Hold it, and say when to come again."""
        del store, watermark_ms
        standing = Standing.unpacked(payload)
        as_of_ms = min(max(standing.as_of_ms, standing.known_ms), self._as_of_ms)
        self._number += 1
        heappush(self._held.setdefault(key, []), (as_of_ms, self._number, standing))
        return as_of_ms, ()

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: ValueStore) -> Step:
        """See the customer as of all that was so by now; a time after the end of the run closes the books."""
        del watermark_ms
        logic, ends, said = self._logic, time_ms > self._as_of_ms, list[Output]()
        assigned, held = logic.load(key, store), self._held.get(key, [])
        while held and (ends or held[0][0] <= time_ms):
            as_of_ms, _, standing = heappop(held)
            said += self._caught_up(key, assigned, as_of_ms)
            said += logic.take(key, assigned, standing)[1]
        if not held:
            self._held.pop(key, None)
        now_ms = min(time_ms, self._as_of_ms)
        said += self._caught_up(key, assigned, now_ms)
        forced_ms = logic.wake_ms(assigned, -1)
        if assigned.is_shown and forced_ms is not None and forced_ms <= now_ms:
            said += logic.look(key, assigned, now_ms)[1]
        if ends:
            logic.whole = True
            if assigned.is_shown:
                said += logic.look(key, assigned, now_ms)[1]
            if assigned.standing is not None:
                said.append(logic.write(key, assigned))
            return None, said
        store.save(assigned.packed())
        # in its turn, even if the watermark has passed it: timers fire in order, and those that they set, too
        wake_ms = logic.wake_ms(assigned, -1)
        return None if wake_ms is None or wake_ms > self._as_of_ms else wake_ms, said

    def _caught_up(self, key: str, assigned: Assigned, now_ms: int) -> list[Output]:
        """See the customer with the newest view that came into force by now, as of its time."""
        logic = self._logic
        while self._views and self._views[0][0] <= now_ms:
            logic.see(heappop(self._views)[2])
        if not (assigned.is_shown and logic.is_behind(assigned)):
            return []
        return logic.look(key, assigned, logic.view_ms)[1]
