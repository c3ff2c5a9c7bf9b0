"""What all customers of one place tell in an interval, put together: to be merged with what others gathered.

It depends on the set of messages only: they are put in order first.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from state.packing import pack
from state.population.cluster_settings import ClusterSettings
from state.population.contributions import Deltas
from state.population.intake import Intake
from state.population.refusal import unpack_versioned
from state.population.sample import customer_hash
from state.population.snapshots import Message

VERSION: Final = 2


class Gathered(NamedTuple):
    """By one place in one interval. Bounds: those of its parts; and the interval's examples and erasures."""

    deltas: Deltas
    intake: Intake
    examples: tuple[bytes, ...]
    """Packed `Example`s, in their order."""
    gone: tuple[str, ...]
    """Customers who are not to be counted any more, in order."""
    given_up: int
    came: tuple[int, ...]
    """Hashes of customers in the intake's sample to whom something has happened, in order."""

    def packed(self) -> bytes:
        rest = self.examples, self.gone, self.given_up, self.came
        return pack([VERSION, self.deltas.packed(), self.intake.packed(), *rest])

    @classmethod
    def unpacked(cls, settings: ClusterSettings, packed: bytes) -> "Gathered":
        """The same again.

        Raises:
            PopulationError: the bytes are none of the kind, or of a newer program's.
            ClusterStateError: the snapshots in it are.
        """
        deltas, intake, examples, gone, given_up, *rest = unpack_versioned(packed, VERSION, "what was gathered")
        taken = Intake.unpacked(settings, None, intake)
        came = rest[0] if rest else [hashed for hashed, _ in taken.sample.by_hash()]  # in version 1 nobody knew
        return cls(Deltas.unpacked(deltas), taken, tuple(examples), tuple(gone), given_up, tuple(came))


def gathered(settings: ClusterSettings, messages: Iterable[Message]) -> Gathered:
    """Put messages of one interval together; of a customer's places the newest counts.

    A place on more or fewer axes was told by a job with other settings, from whose savepoint this one goes on: it
    leaves the customer where they are.
    """
    deltas, intake = Deltas(), Intake(settings, None)
    examples: list[bytes] = []
    newest: dict[str, Message] = {}
    given_up = 0
    for message in sorted(messages, key=lambda one: (one.as_of_ms, one.customer_id, one.packed())):
        if message.deltas:
            deltas.merge(Deltas.unpacked(message.deltas))
        examples += message.examples
        given_up += message.given_up
        if message.gone or message.point is not None:
            newest[message.customer_id] = message
    for message in newest.values():
        if message.point is not None and len(message.point) == len(settings.scaling.axes):
            intake.add_point(message.customer_id, message.as_of_ms, message.point)
    gone = tuple(sorted(message.customer_id for message in newest.values() if message.gone))
    news = {customer_hash(message.customer_id) for message in newest.values() if message.news}
    came = tuple(hashed for hashed, _ in intake.sample.by_hash() if hashed in news)
    return Gathered(deltas, intake, tuple(sorted(examples)), gone, given_up, came)


def merged(ones: Iterable[Gathered]) -> Gathered:
    """Put the partials of an interval together, one from each place. They are used up.

    Raises:
        ValueError: there are none.
    """
    first, *others = ones
    examples, gone, given_up, came = list(first.examples), list(first.gone), first.given_up, set(first.came)
    for other in others:
        first.deltas.merge(other.deltas)
        first.intake.merge(other.intake)
        examples += other.examples
        gone += other.gone
        given_up += other.given_up
        came.update(other.came)
    return first._replace(
        examples=tuple(sorted(examples)),
        gone=tuple(sorted(gone)),
        given_up=given_up,
        came=tuple(hashed for hashed, _ in first.intake.sample.by_hash() if hashed in came),
    )
