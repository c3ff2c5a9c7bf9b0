"""GET /v1/assignments/{customer_id}, GET /v1/experiments and GET /v1/experiments/{name}."""

import asyncio
from typing import ClassVar

import msgspec

from schemas.decode import wall_clock_ms
from schemas.variant_label import label_of
from serving.api_keys import Scope
from serving.experiments.assignment import arms
from serving.experiments.definitions import Experiment, Experiments
from serving.experiments.standing import NotShown, standing
from serving.experiments.stored import Stored
from serving.parameters import Word
from serving.problems import not_found, unavailable
from serving.redis_link import Unavailable
from serving.replies import Assigned, Assignments, Defined, Definitions
from serving.routes import Call, Route
from state.experiments.report import ExperimentReport


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part."""

    segment: Word | None = None
    control: Word | None = None
    ABOUT: ClassVar[dict[str, str]] = {
        "segment": "Only customers who were in this segment when they first saw something of it. Default: everybody.",
        "control": "The variant that the others are compared with. Default: the first of its definition.",
    }


async def assignments(call: Call) -> Assignments:
    """The variants of a customer. Needs nothing but the id, so it is the same whatever Redis does."""
    chooser = call.services.chooser
    found = arms(chooser.experiments, call.subject, wall_clock_ms())
    assigned = tuple(Assigned(arm.experiment, arm.variant, chooser.parameters(arm)) for arm in found)
    return Assignments(call.subject, label_of(found), assigned, chooser.experiments.version)


async def experiments(call: Call) -> Definitions:
    """All experiments that are defined."""
    known, now_ms = call.services.chooser.experiments, wall_clock_ms()
    defined = tuple(_defined(experiment, now_ms) for experiment in known.experiments)
    return Definitions(defined, known.holdout_share, known.version)


def _defined(experiment: Experiment, now_ms: int) -> Defined:
    return Defined(
        experiment=experiment.name,
        description=experiment.description,
        running=experiment.runs(now_ms),
        group=experiment.group,
        traffic=experiment.traffic,
        variants=dict(zip(experiment.variants, experiment.parts, strict=True)),
    )


async def one_experiment(call: Call) -> ExperimentReport:
    """How an experiment stands. Many variants and shares take their time: beside all other requests, one at a time."""
    services, name = call.services, call.subject
    services.attention()
    try:
        stored = await services.source.experiment(name)
    except Unavailable:
        raise unavailable("Redis cannot be asked now") from None
    if stored is None:
        raise not_found(f"nothing of an experiment {name!r} has been shown to anybody so far")
    known = services.chooser.experiments
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(services.reporter, _standing, name, stored, call.query, known)


def _standing(name: str, stored: Stored, query: ReportQuery, known: Experiments) -> ExperimentReport:
    try:
        return standing(name, stored, known, control=query.control, segment=query.segment)
    except NotShown as error:
        raise not_found(str(error)) from None


ROUTES = (
    Route(
        "/v1/assignments/{customer_id}",
        assignments,
        "The variants of all experiments that a customer is in, with what the page is to know of them.",
        Assignments,
        subject_about="The customer's id, or an anonymous one: as in the events that say what was shown.",
    ),
    Route("/v1/experiments", experiments, "All experiments that this server knows.", Definitions),
    Route(
        "/v1/experiments/{name}",
        one_experiment,
        "How an experiment stands: every variant beside the control, with intervals and p-values that hold at any "
        "time, and whether the shares of traffic were kept.",
        ExperimentReport,
        scope=Scope.ADMIN,
        query=ReportQuery,
        problems=(404, 503),
        subject_about="The experiment's name; `holdout` for the holdout.",
    ),
)
