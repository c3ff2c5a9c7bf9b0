"""One customer beside the population: the segments that ask about it, and the cluster."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from state.packing import pack
from state.population.axes import aged
from state.population.refusal import unpack_versioned
from state.population.standing import Standing
from state.population.view import Answer, PopulationView, Seen, Values
from state.rules.division import Remainder
from state.rules.membership import Change, Gone, Membership
from state.versions import version_at

VERSION: Final = 2
NO_CLUSTER: Final = -1
NO_VIEW: Final = -1


class Census(NamedTuple):
    """Rules, with their questions answered by the view in force."""

    rules: Remainder
    answers: tuple[Answer, ...]


class Turned(NamedTuple):
    """What an evaluation changed."""

    at_ms: int
    changes: Sequence[Change]
    gone: Sequence[Gone]
    """Memberships in segments that the rules no longer have."""
    were: Mapping[str, Any]
    """Features by name, of what was said before."""
    are: Mapping[str, Any]
    before: Sequence[object]
    """What the rules read at the evaluation before, if it was by the same rules."""
    after: Sequence[object]


class Assigned:
    """State: the last standing, the memberships, the cluster; two kilobytes packed with all features, mostly less."""

    __slots__ = (
        "_stale",
        "cluster_id",
        "membership",
        "probabilities",
        "rfm",
        "row",
        "said",
        "scores",
        "standing",
        "told_ms",
        "values",
        "version",
        "view",
    )

    def __init__(self, rules: Remainder) -> None:
        self.membership = Membership(rules)
        self.standing: Standing | None = None
        self.said = b""
        """The standing as it came, packed; empty: it is still to be packed."""
        self.values: Mapping[str, Any] = {}
        """Features by name, of the standing."""
        self._stale: dict[str, None] = {}  # segments of rules before, in which readers may have been shown the customer
        self.cluster_id = NO_CLUSTER
        self.probabilities: dict[int, float] = {}  # as of the last evaluation; not kept
        self.rfm: dict[str, int] = {}
        self.scores: dict[str, float] = {}  # as probabilities
        self.row: Sequence[object] = ()  # what the rules read at the last evaluation
        self.view = NO_VIEW
        """Number of the view of that."""
        self.version = -1
        """Of the last write to Redis: no other version of this customer is higher."""
        self.told_ms = -1
        """Event time up to which memberships are said: nothing is ever said of a time before that."""

    def evaluate(
        self,
        standing: Standing,
        view: PopulationView | None,
        census: Census | None,
        now_ms: int,
        *,
        whole: bool = True,
    ) -> Turned:
        """See the customer as of `now_ms`; without a census, who is shown stays in what they are in.

        `whole`: scores and what no rule asks are worked out, too, as for a profile.

        The standing's rules must be those of the census, and the view the census's, if there is one.
        """
        were = self.values
        if standing is not self.standing:
            self.standing, self.values = standing, standing.values() if standing.shown else {}
            self.said = b""
        self.told_ms = now_ms = max(now_ms, self.told_ms)
        gone: Sequence[Gone] = ()
        before = self.row
        if census is not None and self.membership.rules is not census.rules:
            # what own facts decide from now on is told by others
            shown = (*self._stale, *self.membership.rules.names)
            self._stale = dict.fromkeys(name for name in shown if name not in census.rules.own)
            gone = self.membership.migrate(census.rules)
            before = ()
        if not standing.shown:
            self.cluster_id, self.probabilities, self.rfm, self.scores, self.row = NO_CLUSTER, {}, {}, {}, ()
            return Turned(now_ms, self.membership.end_all(now_ms), gone, were, {}, before, ())
        if view is None:
            return Turned(now_ms, (), (), were, self.values, (), ())
        self.view = view.number
        rules = None if census is None else census.rules
        seen = self._see(
            view,
            aged(self.values, now_ms - standing.as_of_ms),
            standing.as_of_ms,
            cluster=whole or (rules is not None and rules.asks_cluster),
            scores=whole or (rules is not None and rules.asks_propensity),
            rfm=whole,
        )
        if census is None:
            return Turned(now_ms, (), (), were, self.values, (), ())
        parts = [bool(standing.parts >> number & 1) for number in range(len(census.rules.parts))]
        reads = (seen.values.get(name) for name in census.rules.reads)
        self.row = row = (*reads, *(answer(seen) for answer in census.answers), *parts)
        return Turned(now_ms, self.membership.evaluate(row, now_ms), gone, were, self.values, before, row)

    @property
    def is_shown(self) -> bool:
        """Whether readers are shown the customer at all."""
        return self.standing is not None and self.standing.shown

    def since(self) -> dict[str, int]:
        """The segments of these that the customer is in, each with when it was entered."""
        return dict(self.membership.since()) if self.is_shown else {}

    def shown_in(self) -> list[str]:
        """All segments of these in which readers may have been shown the customer, those of older rules included."""
        return list(dict.fromkeys((*self.membership.rules.names, *self._stale)))

    def forget(self) -> None:
        """Keep nothing of a customer who is not shown but how new that is."""
        if self.standing is not None:
            self.standing = self.standing._replace(features=b"")
            self.said, self.values = b"", {}

    def _see(
        self, view: PopulationView, older: Values, as_of_ms: int, *, cluster: bool, scores: bool, rfm: bool
    ) -> Seen:
        """See the customer with a view, in the respects that are wanted; `older`: the values as of now."""
        name = None
        if cluster and view.clusters is not None:
            current = None if self.cluster_id == NO_CLUSTER else self.cluster_id
            assignment = view.clusters.assign(older, current)
            self.cluster_id, self.probabilities = assignment.cluster_id, assignment.probabilities
            name = view.clusters.cluster(assignment.cluster_id).name
        if scores:
            said = {} if view.scores is None else view.scores.predict(older)
            self.scores = {name: share for name, share in said.items() if share is not None}
        seen = Seen(self.values, as_of_ms, name, self.scores)
        if rfm:
            self.rfm = view.rfm(seen)
        return seen

    def next_version(self) -> int:
        """The version of the next write: that of the standing, or of a later time, and always more than the last one's.

        By time, so that what is written after a crash is newer, before long, than what the lost run wrote.
        """
        said = -1 if self.standing is None else self.standing.version
        self.version = max(self.version + 1, said, version_at(self.told_ms))
        return self.version

    def packed(self) -> bytes:
        """Versioned bytes."""
        if not self.said and self.standing is not None:
            self.said = self.standing.packed()
        members = self.membership.to_packed()
        seen = self.cluster_id, self.rfm, self.row, self.view
        return pack([VERSION, self.said, members, *seen, self.version, self.told_ms])

    @classmethod
    def unpacked(cls, packed: bytes, rules: Callable[[str], Remainder | None], newest: Remainder) -> "Assigned":
        """The customer again; probabilities come with the next evaluation.

        Args:
            packed: what `packed` gave.
            rules: the rules of a version, None if nobody has them any more.
            newest: those that stand in for them: memberships that they do not have are lost without a word.

        Raises:
            PopulationError: the bytes are of a newer program's.
        """
        fields = unpack_versioned(packed, VERSION, "a customer beside the population")
        standing, members, cluster_id, rfm, row, view, version, told_ms = fields
        known = rules(Membership.packed_version(members)) or newest
        assigned = cls(known)
        assigned.membership, _ = Membership.from_packed(known, members)
        if standing:
            assigned.said, assigned.standing = standing, Standing.unpacked(standing)
            assigned.values = assigned.standing.values() if assigned.standing.shown else {}
        assigned.cluster_id, assigned.rfm, assigned.row, assigned.view = cluster_id, rfm, tuple(row), view
        assigned.version, assigned.told_ms = version, told_ms
        return assigned
