"""The picture of the population: customers by cluster, sizes over time, and who went from which segment to which.

No window is opened and nothing of pyplot is used: a figure of its own, drawn by Agg or written as vectors. The same
results give the same picture.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jobs.population_history import History, Sizes, Transitions
from state.population.model import ClusterModel
from state.population.scaling import Matrix

_STYLE: Final = {"svg.fonttype": "none", "svg.hashsalt": "segmill", "text.parse_math": False, "font.size": 9.0}
"""Text stays text, ids in the file are the same each time, and a $ in a name means itself."""
_METADATA: Final[dict[str, dict[str, Any]]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
_LEGEND_COLUMNS: Final = 3
_LONGEST_NAME: Final = 48
_EARLIER: Final = 15
"""So many clusters that are no more have colours of their own, the largest."""
_OTHERS: Final = "lightgray"
_NUMBERED: Final = 16
"""With more segments than these, the numbers in the cells could not be read."""


def draw(
    out: Path,
    model: ClusterModel | None,
    profiles: Iterable[Mapping[str, Any]],
    known: History,
    moves: Transitions | None,
) -> None:
    """Write the figure; its suffix says as what: .png, .svg or .pdf.

    Args:
        out: replaced when the new one is complete.
        model: the clusters that the customers are placed by.
        profiles: of the customers to show.
        known: sizes and names of the clusters.
        moves: between segments; None: unknown.
    """
    colours, legend = _colours(() if model is None else model.ids, known)
    names = known.names | {one.cluster_id: one.name for one in (model.clusters if model else ())}
    with matplotlib.rc_context(_STYLE):
        rows = -(-len(legend) // _LEGEND_COLUMNS)
        figure = Figure(figsize=(19, 6.5 + 0.2 * rows), layout="constrained")
        FigureCanvasAgg(figure)
        customers, sizes, segments = figure.subplots(1, 3)
        _customers(customers, model, profiles, colours)
        _sizes(sizes, known, colours)
        _segments(segments, moves)
        if legend:
            told = {id_: f"{id_}  {names.get(id_, '')}" for id_ in legend}
            now = known.shares_at(known.until_ms).keys()
            handles = [
                Patch(color=colours[id_], label=_short(text) + ("" if id_ in now else "  (earlier)"))
                for id_, text in told.items()
            ]
            if len(legend) < len(colours):
                others = f"{len(colours) - len(legend)} others, small  (earlier)"
                handles.append(Patch(color=_OTHERS, label=others))
            figure.legend(
                handles=handles, loc="outside lower center", ncols=_LEGEND_COLUMNS, title="clusters", frameon=False
            )
        kind = out.suffix[1:].lower()
        part = out.with_name(out.name + ".part")
        try:
            figure.savefig(part, format=kind, dpi=110, metadata=_METADATA[kind])
            os.replace(part, out)
        finally:
            part.unlink(missing_ok=True)


def _colours(living: Collection[int], known: History) -> tuple[dict[int, Any], list[int]]:
    """By cluster id its colour, and whom the legend names: those that live, and of the others the largest."""
    largest: dict[int, float] = {}
    for one in known.sizes:
        for id_, share in one.shares.items():
            largest[id_] = max(share, largest.get(id_, 0.0))
    alive = sorted({*living, *known.shares_at(known.until_ms)})
    earlier = sorted(largest.keys() - set(alive), key=lambda id_: (-largest[id_], id_))
    strong, more = matplotlib.colormaps["tab20"], matplotlib.colormaps["tab20b"]
    palette = [*(strong(at) for at in (*range(0, 20, 2), *range(1, 20, 2))), *map(more, range(20))]
    named = [*alive, *earlier[: max(0, min(_EARLIER, len(palette) - len(alive)))]]
    colours = dict(zip(named, palette, strict=False))
    return colours | dict.fromkeys(earlier[len(named) - len(alive) :], _OTHERS), [*alive, *sorted(named[len(alive) :])]


def principal(points: Matrix) -> tuple[Matrix, Matrix]:
    """Two principal components (rows, over the dimensions), and the share of the variance that each has.

    Of each component the entry that is largest by size is positive, so that the picture is never mirrored.

    Args:
        points: (n, dimensions), n >= 1.
    """
    _, stretches, components = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    found = np.zeros((2, points.shape[1]))
    shares = np.zeros(2)
    count = min(2, len(components))
    found[:count] = components[:count]
    total = float((stretches**2).sum())
    shares[:count] = stretches[:count] ** 2 / total if total > 0 else 0.0
    signs = np.sign(found[np.arange(2), np.abs(found).argmax(axis=1)])
    return found * signs[:, None], shares


def _customers(
    axes: Axes, model: ClusterModel | None, profiles: Iterable[Mapping[str, Any]], colours: Mapping[int, Any]
) -> None:
    placed = [] if model is None else [(model.scaling.point(one["features"]), _cluster(model, one)) for one in profiles]
    axes.set_title(f"{len(placed):,} customers by cluster (numbers: the centres)")
    if model is None or not placed:
        _nothing(axes, "no clusters yet" if model is None else "no customers")
        return
    points = np.array([point for point, _ in placed])
    components, shares = principal(points)
    middle = points.mean(axis=0)
    flat = (points - middle) @ components.T
    axes.scatter(flat[:, 0], flat[:, 1], c=[colours[id_] for _, id_ in placed], s=14, alpha=0.7, linewidths=0)
    for cluster, (x, y) in zip(model.clusters, (np.array(model.centroids) - middle) @ components.T, strict=True):
        axes.annotate(
            str(cluster.cluster_id), (x, y), ha="center", va="center", weight="bold",
            bbox={"boxstyle": "circle", "fc": "white", "ec": colours[cluster.cluster_id], "lw": 2},
        )  # fmt: skip
    labels = [
        f"component {number} ({share:.0%} of the variance): {_made_of(model, component)}"
        for number, (component, share) in enumerate(zip(components, shares, strict=True), 1)
    ]
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])


def _cluster(model: ClusterModel, profile: Mapping[str, Any]) -> int:
    """Which cluster a profile says; the nearest, if it says none of this version."""
    told = profile.get("cluster", {}).get("id")
    return int(told) if told in model.ids else model.assign(profile["features"]).cluster_id


def _made_of(model: ClusterModel, component: Matrix) -> str:
    """The two axes that a direction says most about."""
    turned = model.scaling.turned
    along = component if turned is None else component @ np.array(turned)
    strongest = np.argsort(-np.abs(along), kind="stable")[:2]
    named = ((model.scaling.axes[at].name, along[at]) for at in strongest)
    return ", ".join(f"{'−' if by < 0 else '+'} {name}" for name, by in named if abs(by) > 1e-9)


def _sizes(axes: Axes, known: History, colours: Mapping[int, Any]) -> None:
    axes.set_title("sizes of the clusters over time")
    axes.set_ylabel("share of the customers in the sample")
    if not known.sizes:
        _nothing(axes, "no sizes are known")
        return
    axes.set_ylim(0, 1)
    steps = known.sizes
    if known.until_ms > steps[0].at_ms:  # what is newest is drawn as if it had lasted, or nobody would see it
        least_ms = (known.until_ms - steps[0].at_ms) // 50
        steps = [*steps, Sizes(max(known.until_ms, steps[-1].at_ms + least_ms), steps[-1].shares)]
    times: list[Any] = [datetime.fromtimestamp(one.at_ms / 1000, UTC) for one in steps]
    ids = sorted({id_ for one in steps for id_ in one.shares})
    shares = [[one.shares.get(id_, 0.0) for one in steps] for id_ in ids]
    if len(times) == 1:  # an area of no width would not be seen
        bottom = 0.0
        for id_, (share,) in zip(ids, shares, strict=True):
            axes.bar(0, share, bottom=bottom, color=colours[id_], width=0.5)
            bottom += share
        axes.set_xlim(-1, 1)
        axes.set_xticks([0], [f"{times[0]:%Y-%m-%d %H:%M} UTC"])
        return
    axes.stackplot(times, shares, colors=[colours[id_] for id_ in ids], step="post", linewidth=0)
    axes.set_xlim(times[0], times[-1])
    locator = AutoDateLocator(tz=UTC)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    axes.set_xlabel("time (UTC)")


def _segments(axes: Axes, moves: Transitions | None) -> None:
    axes.set_title("who left a segment, and entered which one next")
    if moves is None or not moves.segments:
        _nothing(axes, "no segment changes are known")
        return
    counts = np.array([[*row, none] for row, none in zip(moves.entered, moves.nowhere, strict=True)], dtype=float)
    shares = counts / np.maximum(np.array(moves.exits, dtype=float), 1.0)[:, None]
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    size = len(moves.segments)
    axes.set_xticks(range(size + 1), [*map(_short, moves.segments), "none"], rotation=60, ha="right")
    axes.set_yticks(
        range(size), [f"{_short(name)} ({n:,})" for name, n in zip(moves.segments, moves.exits, strict=True)]
    )
    axes.axvline(size - 0.5, color="dimgray", linewidth=1)
    axes.set_xlabel("entered next, within a day (the same one: came back)")
    axes.set_ylabel("left (how often)")
    if size <= _NUMBERED:
        for row, column in zip(*counts.nonzero(), strict=True):
            light = shares[row, column] > 0.5
            axes.text(
                column, row, f"{counts[row, column]:,.0f}", ha="center", va="center", size=7,
                color="white" if light else "black",
            )  # fmt: skip
    axes.figure.colorbar(image, ax=axes, label="share of those who left", shrink=0.6)


def _nothing(axes: Axes, why: str) -> None:
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color="dimgray")
    axes.set_xticks([])
    axes.set_yticks([])


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
