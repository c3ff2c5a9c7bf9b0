"""What others are told of the population: records of the `models` topic, and what Redis holds below `model:`."""

from typing import Any

import msgspec

from schemas.writes import model_write
from state.population.labels import TARGETS
from state.population.model import Cluster, ClusterModel
from state.population.population import Event
from state.population.score_version import ScoreVersion
from state.population.view import PopulationView
from state.versions import version_at

CLUSTERS, PERCENTILES, SCORES = "clusters", "percentiles", "scores"
"""Names below `model:`."""
_DIGITS = 4
_encode = msgspec.json.Encoder().encode


def event_record(event: Event, view: PopulationView | None) -> bytes:
    """A JSON record; of a new view, with what is in it, without the numbers that only programs need."""
    record: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not None}
    if event.kind == "view" and view is not None:
        if view.clusters is not None:
            record["clusters"] = [_cluster(one) for one in view.clusters.clusters]
            record["quality"] = _quality(view.clusters)
        record["percentiles"] = _percentiles(view)
        if view.scores is not None:
            record["scores"] = _scores(view.scores)
    return _encode(record)


def model_writes(view: PopulationView) -> list[bytes]:
    """The writes that bring Redis up to date with a view.

    Their version goes by time: a job that begins anew, where one before has left what it knew, counts views from 1.
    """
    bodies: dict[str, dict[str, Any]] = {PERCENTILES: {"features": _percentiles(view)}}
    if view.clusters is not None:
        bodies[CLUSTERS] = {
            "clusters": [_cluster(one) for one in view.clusters.clusters],
            "quality": _quality(view.clusters),
            "axes": [axis.name for axis in view.clusters.scaling.axes],
            "model": view.clusters.packed(),
        }
    if view.scores is not None:
        bodies[SCORES] = {"scores": _scores(view.scores)}
    version, number = version_at(view.at_ms, view.number), {"view": view.number}
    return [model_write(name, version, view.at_ms, number | body) for name, body in sorted(bodies.items())]


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "id": cluster.cluster_id,
        "name": cluster.name,
        "label": cluster.label,
        "kind": cluster.kind,
        "size": cluster.size,
        "share": round(cluster.share, _DIGITS),
        "spread": round(cluster.spread, _DIGITS),
        "traits": [
            {"axis": trait.axis, "difference": round(trait.difference, _DIGITS), "words": trait.words}
            for trait in cluster.traits
        ],
    }


def _quality(model: ClusterModel) -> dict[str, Any]:
    quality = msgspec.structs.asdict(model.quality)
    rounded = {name: round(value, _DIGITS) for name, value in quality.items()}
    return {"model": model.number, "as_of_ms": model.as_of_ms, **rounded}


def _percentiles(view: PopulationView) -> dict[str, Any]:
    """By feature: thresholds by percentile as of the view, in the feature's unit."""
    found = {}
    for (feature, positive), one in sorted(view.percentiles.items()):
        points = {str(point): one.percentile(point, view.at_ms) for point in one.points}
        found[f"{feature} > 0" if positive else feature] = {"count": one.count, "points": points}
    return found


def _scores(version: ScoreVersion) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, score in zip(TARGETS, version.scores, strict=True):
        if score is not None:
            quality = None if score.quality is None else score.quality._asdict()
            rounded = quality and {key: round(value, _DIGITS) for key, value in quality.items()}
            found[name] = {"examples": score.examples, "quality": rounded}
    return found
