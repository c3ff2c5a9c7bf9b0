"""What leaves a customer: segment changes, profile writes, messages to items, counts; as (channel, key, payload)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from schemas.changes import Cause, SegmentChange, change_id
from schemas.variant_label import HOLDOUT
from schemas.writes import profile_tombstone, profile_write
from state.channels import Channel, Output
from state.customer.corrections import Turn
from state.customer.customer import Customer
from state.customer.features import features
from state.customer.publication import bought_ledger, viewed_ledger
from state.customer.recent import recent
from state.experiments.exposures import MOST_EXPERIMENTS
from state.experiments.told import Told, message, message_key
from state.impressions.changes import click_messages
from state.population.standing import Standing
from state.rules.ruleset import RuleSet
from state.similar.changes import messages
from state.similar.settings import BOUGHT_WITH, VIEWED_WITH, Relation, SimilarSettings
from state.versions import version_at

_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
MOST_GONE = 32
"""So many experiments that made room for others are known as they were told, to be taken back by an erasure."""
_ITEM = Channel.ITEM  # reading a member of an enumeration takes as long as a function call


def change_records(key: str, customer: Customer, turns: Sequence[Turn]) -> list[Output]:
    """One JSON record for each turn, which from now on is known as published."""
    outputs: list[Output] = []
    for turn in turns:
        rules = turn.reign.program.rules
        # the cause tells apart two records of one turn that was taken back in between
        cause = str(turn.reign.number) if turn.cause[0] == "rules" else turn.cause[1] or ""
        identity = change_id(key, turn.segment, turn.change, turn.at_ms, rules.version, turn.supersedes, cause)
        record = SegmentChange(
            change_id=identity,
            customer_id=key,
            segment=turn.segment,
            change="entered" if turn.entered else "left",
            at_ms=turn.at_ms,
            since_ms=turn.since_ms,
            cause=Cause(turn.cause[0], turn.cause[1]),  # type: ignore[arg-type]
            rule_version=rules.version,
            why=_why(rules, turn),
            supersedes=turn.supersedes or None,
        )
        customer.publish_as(turn, identity)
        outputs.append((Channel.SEGMENT_CHANGE, key, _encode(record)))
    return outputs


def _why(rules: RuleSet, turn: Turn) -> dict[str, tuple[Any, Any]]:
    bit = rules.bit_of.get(turn.segment)
    if bit is None or not turn.after:
        return {}
    return {rules.reads[at]: (turn.before[at] if turn.before else None, turn.after[at]) for at in rules.reads_of[bit]}


def memberships(key: str, customer: Customer) -> Output:
    """All that the customer is in now, for readers who do not want the way there; empty: in nothing."""
    since = dict(customer.membership.since())
    record = {"customer_id": key, "as_of_ms": customer.fold.clock_ms, "segments": since}
    return (Channel.MEMBERSHIPS, key, _encode(record) if since else b"")


def version(customer: Customer) -> int:
    """Moves forward with every change of what the profile says: time first, then the number of facts."""
    return version_at(customer.fold.clock_ms, customer.revision)


def profile(
    key: str, customer: Customer, turns: Sequence[Turn], *, whole: bool = False, closing: bool = False
) -> Output | None:
    """The write that brings Redis up to date; a tombstone where there is nothing to show (any more).

    `turns`: what changed in the memberships since the last one; the segments of older rules are among them.
    `whole`: with all memberships, whether any of them has turned or not; `closing`: the end of a bounded run, which
    also withdraws what an earlier run may have left there.
    """
    fold, publication = customer.fold, customer.publication
    publication.profile_ms = fold.clock_ms
    if not customer.is_shown:
        if not (publication.profile_shown or (closing and customer.revision)):
            return None
        publication.profile_shown = False
        return (
            Channel.REDIS,
            key,
            profile_tombstone(key, version(customer), fold.clock_ms, _withdrawn(customer, turns)),
        )
    first = not publication.profile_shown
    publication.profile_shown = True
    since = dict(customer.membership.since())
    body = {"customer_id": key, "features": features(fold), "segments": since, "recent": recent(fold)}
    if turns or whole or first:
        others = [name for name in _segments(customer, turns) if name not in since]
        write = profile_write(key, version(customer), fold.clock_ms, body, since, others)
    else:
        write = profile_write(key, version(customer), fold.clock_ms, body)
    return (Channel.REDIS, key, write)


def standing(key: str, customer: Customer, *, known_ms: int = -1) -> Output:
    """What those are told who know the population; `known_ms`: see `Standing`."""
    fold, shown = customer.fold, customer.is_shown
    customer.parts_told = customer.parts
    customer.said = customer.revision, fold.clock_ms, fold.expires_ms
    said = Standing(
        as_of_ms=fold.clock_ms,
        version=version(customer),
        rules=customer.program.rules.version,
        shown=shown,
        parts=customer.parts,
        cause=customer.happened,  # type: ignore[arg-type]
        features=_pack(features(fold)) if shown else b"",
        known_ms=known_ms,
    )
    return (Channel.STANDING, key, said.packed())


def _segments(customer: Customer, turns: Sequence[Turn]) -> list[str]:
    """All segments in which readers may have been shown the customer, those of older rules included."""
    program = customer.program
    names = dict.fromkeys([*program.rules.names, *customer.older_segments(), *(turn.segment for turn in turns)])
    if program.watches:  # what asks about the population now is told by those who know it
        for name in program.rules.remainder.names:
            names.pop(name, None)
    return list(names)


def _withdrawn(customer: Customer, turns: Sequence[Turn]) -> list[str]:
    """The same of somebody who is not to be shown any more: with those that a population left, if there is none now."""
    names = _segments(customer, turns)
    if customer.program.watches:
        return names
    left = [name for epoch in customer.epochs for name in epoch.program.rules.remainder.names]
    return list(dict.fromkeys([*names, *left]))


def item_messages(customer: Customer, settings: SimilarSettings) -> list[Output]:
    """Tell the items what is new in the customer's ledgers since they were last told."""
    fold, publication = customer.fold, customer.publication
    outputs: list[Output] = []
    start, end = viewed_ledger(fold)
    if (
        publication.bought_changed
        or publication.shown_changed
        or publication.viewed_before is not None
        or publication.erased
    ):
        customer.base = None
    if publication.viewed_before is not None or publication.viewed != (start, end):
        new = fold.view_entries(start, end)
        outputs += _messages(VIEWED_WITH, publication.told_viewed(fold), new, settings, publication.erased)
    bought = bought_ledger(fold) if publication.bought_changed else []
    if publication.bought_changed:
        outputs += _messages(BOUGHT_WITH, publication.told_bought(), bought, settings, publication.erased)
        publication.told(fold, bought)
    else:
        publication.viewed, publication.viewed_before = (start, end), None
    if publication.shown_changed:
        shown = [] if fold.impressions is None else fold.impressions.shown()
        told = click_messages(publication.told_shown(), shown, prompt=publication.erased)
        outputs += [(_ITEM, key, message) for key, message in told]
        publication.shown_is_told(shown)
    publication.erased = False
    return outputs


def _messages(relation: Relation, old: Any, new: Any, settings: SimilarSettings, erased: bool) -> list[Output]:
    told = messages(relation, old, new, settings, prompt=erased)
    return [(_ITEM, f"{relation}|{item}", message) for item, message in told]


def experiment_messages(customer: Customer) -> list[Output]:
    """Tell the sums of experiments what is new of the customer since they were last told."""
    fold, publication, settings = customer.fold, customer.publication, customer.program.settings
    customer.base = None
    publication.exposures_ms = -1
    told = publication.exposures
    known = {} if fold.exposures is None else fold.exposures.by_name
    changed: dict[str, bytes | None] = {}
    for name, exposure in known.items():
        # of one whose orders are not all remembered any more, what was told stays
        if exposure.first_ms > fold.clock_ms - settings.order_memory_ms:
            window_ms = settings.holdout_window_ms if name == HOLDOUT else settings.conversion_window_ms
            outcome = exposure.outcome(fold.orders, window_ms)
            changed[name] = Told(exposure.arm, exposure.segments or (), exposure.crossed, outcome).packed()
    # of what had to make room for others, it stays, too
    retracts = publication.erased or len(known) < MOST_EXPERIMENTS
    changed.update(dict.fromkeys(name for name in told if name not in known) if retracts else {})
    outputs: list[Output] = [
        (Channel.EXPERIMENT, message_key(name), message(told.get(name), new))
        for name, new in changed.items()
        if new != told.get(name)
    ]
    now = {**told, **changed}
    gone = [name for name in now if name not in known]
    kept = [*gone[-MOST_GONE:], *known]
    publication.exposures = {name: packed for name in kept if (packed := now.get(name)) is not None}
    return outputs


def counts(key: str, customer: Customer) -> Output:
    """How the events of this customer came out."""
    fold, ghosts = customer.fold, customer.ghosts
    record = {
        "customer_id": key,
        "applied": fold.applied + ghosts.applied,
        "duplicate": customer.duplicates,
        "late": customer.late,
        "suppressed": fold.suppressed + ghosts.suppressed,
        "refunds_without_order": fold.orphan_refunds,
    }
    return (Channel.COUNTS, key, _encode(record))
