"""`segmill population`: what all customers have in common, in words, numbers and a picture."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from heapq import nsmallest
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from jobs.commands.console import grid, plain, progress, say, show, show_table
from jobs.commands.kafka_options import prefix_option
from jobs.commands.options import iso, redis_option, redis_unless_from
from jobs.commands.store_options import missing, opened, source_options
from jobs.commands.values import readable
from jobs.kafka_client import kafka_target
from jobs.outputs import MODELS, SEGMENT_CHANGES
from jobs.population_forgetting import Exits, Forgetting
from jobs.population_forgetting import Found as Forgotten
from jobs.population_history import Happened, History, Sizes, history, transitions
from jobs.store import Store, StoreError
from jobs.topics import Topics
from schemas.money import exponent_of
from state.rules.features import FEATURES

PLOTS = (".png", ".svg", ".pdf")
DRAWN = 3_000
"""Customers in the picture at most: those of the least hashes, so always the same ones."""
_BARS = "▁▂▃▄▅▆▇█"
_MOMENTS = 12
"""Over so many moments the terminal shows sizes."""
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


class Found(NamedTuple):
    """What the store has of the population: maps as `state/population/telling.py` makes them."""

    percentiles: dict[str, Any]
    clusters: dict[str, Any] | None
    scores: dict[str, Any] | None


def _plot_path(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() not in PLOTS:
        raise click.BadParameter(f"{value}: its name must end with one of {', '.join(PLOTS)}")
    if value is not None and not value.parent.is_dir():
        raise click.BadParameter(f"{value.parent}: there is no such folder")
    return value


@click.group("population", invoke_without_command=True)
@source_options
@click.option(
    "--models",
    type=_FILE,
    help=f"What was learned earlier: records of the topic `models`. Default: {MODELS} beside the run's results.",
)
@click.option(
    "--changes",
    type=_FILE,
    help=f"For --plot: records of the topic `segment-changes`. Default: {SEGMENT_CHANGES} beside the results.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Alarms, births and deaths to print, the newest.",
)
@click.option("--plot", "plot_to", type=click.Path(path_type=Path, dir_okay=False), callback=_plot_path,
              metavar="FILE", help=f"Draw a picture, too: a file that ends with {', '.join(PLOTS)}.")  # fmt: skip
@click.pass_context
def population_group(
    context: click.Context,
    left_in: Path | None,
    redis_url: str | None,
    prefix: str,
    as_json: bool,
    models: Path | None,
    changes: Path | None,
    limit: int,
    plot_to: Path | None,
) -> None:
    """What all customers have in common: clusters, percentiles and scores in force, and what became of them.

    There is something to see once a run or a live job has learned it (`--population`), from 20 customers on.

    \b
      segmill run --population --out result
      segmill population --from result
      segmill population --from result --plot population.png
      segmill population --from result --json
      segmill population --redis redis://localhost:6379 --models models.jsonl
      segmill population forget --redis redis://localhost:6379 --bootstrap broker:9092

    A cluster's line has its id, its broad kind, how many customers of the sample are in it, and its name; the line
    below says what sets it apart, in standard deviations from the mean of all customers. Redis holds only what is so
    now; what happened before stands in the records of the topic `models`.

    The picture has three parts: customers on two principal components of what they are compared by, in the colours of
    their clusters; the sizes of the clusters over time; and, of those who left a segment, which one they entered next.
    """
    if context.invoked_subcommand is not None:
        return
    folder = None if redis_unless_from(left_in, redis_url) else left_in or Path("out")
    with opened(redis_url, left_in, prefix) as store:
        found = _found(store)
        past = _past(models or _beside(folder, MODELS), found.clusters)
        currency = store.meta().get("currency", "")
        if plot_to is not None:
            _draw(plot_to, store, found.clusters, past, changes or _beside(folder, SEGMENT_CHANGES))
    if as_json:
        told = _told(found, past, currency, limit)
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        _show(found, past, currency, limit)
    if plot_to is not None:
        say(f"the picture: {plot_to}")


@population_group.command("forget")
@redis_option("Redis to remove it from.")
@click.option("--prefix", default="segmill:", show_default=True, help="Prefix of the Redis keys.")
@click.option(
    "--bootstrap",
    metavar="HOST:PORT,…",
    envvar="SEGMILL_BOOTSTRAP",
    help="Kafka brokers: who left is said in segment-changes and population-memberships.",
)
@click.option("--kafka-config", type=_FILE, help="File of client settings, as of other commands (docs/kafka.md).")
@prefix_option
@click.option("--untold", is_flag=True, help="Say it nowhere.")
@click.option("--yes", is_flag=True, help="Do it. Without this it is only told what there is.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def forget_command(
    redis_url: str | None, prefix: str, bootstrap: str | None, kafka_config: Path | None, topic_prefix: str,
    untold: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Take what a job with a population left out of Redis, and say who left, once the job goes on without one.

    \b
      segmill population forget --redis redis://localhost:6379 --bootstrap broker:9092
      segmill population forget --redis redis://localhost:6379 --bootstrap broker:9092 --yes
      segmill population forget --redis redis://localhost:6379 --untold --yes

    Stop the job with a population first: it would write everything again. Removed are the second parts of profiles,
    the memberships in segments that ask about the population, and what was learned. Who is interrupted calls it again.
    """
    if redis_url is None:
        raise click.UsageError("say where from: --redis URL, or SEGMILL_REDIS_URL")
    if untold is (bootstrap is not None):
        raise click.UsageError("say whom to tell who left: --bootstrap HOST:PORT, or --untold")
    with opened(redis_url, None, prefix) as store:
        forgetting = Forgetting(store)
        exits = None
        if bootstrap is not None:
            exits = Exits(kafka_target(bootstrap, kafka_config), Topics(topic_prefix))
        with progress(counted=True) as bars:
            task = bars.add_task(
                "forgetting" if yes else "counting", total=len(forgetting.customers()), note="customers"
            )
            count = partial(bars.advance, task)
            found = forgetting.forget(exits, count) if yes else forgetting.found(count)
    _tell_forgotten(found, as_json, done=yes, told=bootstrap is not None)


def _tell_forgotten(found: Forgotten, as_json: bool, *, done: bool, told: bool) -> None:
    """What there is, or was."""
    if as_json:
        listed = {"customers": found.customers, "members": found.members, "models": found.models}
        click.echo(json.dumps({"done": done, "told": done and told, **listed}, ensure_ascii=False, indent=2))
        return
    if not (found.customers or found.models):
        click.echo("nothing of a population is there")
        return
    table = grid("members", "segment", right=("members",))
    for name, count in sorted(found.members.items()):
        table.add_row(f"{count:,}", plain(name))
    show_table(table)
    what = f"second parts of {found.customers:,} profiles, {found.models} models"
    click.echo(
        f"removed: these memberships, {what}" if done else f"to be removed with --yes: these memberships, {what}"
    )


def _found(store: Store) -> Found:
    from state.population.telling import CLUSTERS, PERCENTILES, SCORES  # needs NumPy, which `--help` does without

    percentiles = store.model(PERCENTILES)
    if percentiles is None:
        missing("a population", "Learn one with `segmill run --population`, or `segmill submit segments --population`.")
    return Found(percentiles, store.model(CLUSTERS), store.model(SCORES))


def _beside(folder: Path | None, name: str) -> Path | None:
    """A file of a run's folder, if there is one."""
    return None if folder is None or not (folder / name).is_file() else folder / name


def _past(models: Path | None, clusters: Mapping[str, Any] | None) -> History:
    """What the file tells; what is so now comes last."""
    past = History([], [], {}, 0) if models is None else history(models)
    if clusters is None:
        return past
    now = Sizes(clusters["as_of_ms"], {one["id"]: one["share"] for one in clusters["clusters"]})
    names = past.names | {one["id"]: one["name"] for one in clusters["clusters"]}
    sizes = past.sizes
    if not sizes or (now.at_ms > sizes[-1].at_ms and now.shares != sizes[-1].shares):
        sizes = [*sizes, now]
    return History(past.happened, sizes, names, max(past.until_ms, now.at_ms))


def _draw(out: Path, store: Store, clusters: Mapping[str, Any] | None, past: History, changes: Path | None) -> None:
    from jobs.population_plot import draw  # needs Matplotlib, which nothing else does
    from state.population.model import ClusterModel
    from state.population.refusal import ClusterStateError
    from state.population.sample import customer_hash

    try:
        model = None if clusters is None else ClusterModel.unpacked(clusters["model"])
    except ClusterStateError as error:
        raise StoreError(f"the clusters cannot be drawn: {error}") from error
    drawn = nsmallest(DRAWN, store.customers(), key=lambda one: (customer_hash(one), one))
    moves = None if changes is None else transitions(changes)
    draw(out, model, (profile for _, profile in store.profiles(drawn)), past, moves)


def _told(found: Found, past: History, currency: str, limit: int) -> dict[str, Any]:
    """For machines; NaN and infinity become null."""
    clusters, scores = found.clusters or {}, found.scores or {}
    return {
        "view": _view(found.percentiles),
        "as_of_ms": found.percentiles["as_of_ms"],
        "currency": currency,
        **{name: clusters.get(name) for name in ("clusters", "quality", "axes")},
        "percentiles": found.percentiles["features"],
        "scores": scores.get("scores"),
        "happened": _newest(past, limit),
        "sizes": [one._asdict() for one in past.sizes],
    }


def _view(percentiles: Mapping[str, Any]) -> int:
    """The number of the view; what an earlier release wrote has it as its version."""
    return int(percentiles.get("view", percentiles["version"]))


def _newest(past: History, limit: int) -> list[Happened]:
    return sorted(past.happened, key=lambda one: one.at_ms)[: -limit - 1 : -1]


def _show(found: Found, past: History, currency: str, limit: int) -> None:
    percentiles, clusters, scores = found
    show(f"[bold]population[/]  view {_view(percentiles)} as of {iso(percentiles['as_of_ms'])}")
    if clusters is None:
        show("\nno clusters yet")
    else:
        _show_clusters(clusters, past)
        _show_quality(clusters["quality"])
    _show_percentiles(percentiles["features"], currency)
    if scores is None:
        show("\nno scores yet")
    else:
        _show_scores(scores["scores"])
    _show_happened(past, limit)


def _show_clusters(clusters: Mapping[str, Any], past: History) -> None:
    rows = clusters["clusters"]
    kinds = len({one["kind"] for one in rows})
    show(f"\n[bold]clusters[/]  {len(rows)}, of {kinds} broad kind{'s' if kinds > 1 else ''}")
    moments = _moments(past)
    over_time = f"since {iso(moments[0])[:10]}" if moments else " since"
    table = grid("id", "kind", "size", "share", over_time, "name, and what sets it apart",
                 right=("id", "kind", "size", "share"))  # fmt: skip
    history_of = [past.shares_at(at_ms) for at_ms in moments]
    largest = max((share for shares in history_of for share in shares.values()), default=1.0)
    for one in rows:
        bars = "".join(_bar(shares.get(one["id"]), largest) for shares in history_of)
        table.add_row(
            str(one["id"]), str(one["kind"]), f"{one['size']:,}", f"{one['share']:.1%}", bars, plain(one["name"])
        )
        table.add_row("", "", "", "", "", f"[dim]{plain(_apart(one['traits']))}[/]")
    show_table(table)


def _apart(traits: list[dict[str, Any]]) -> str:
    """The traits that are worth a word."""
    from state.population.describing import NOTABLE, ORDINARY

    said = [f"{one['words']} ({one['axis']} {one['difference']:+.2f})" for one in traits
            if abs(one["difference"]) >= NOTABLE]  # fmt: skip
    return ", ".join(said) or ORDINARY


def _moments(past: History) -> list[int]:
    """Evenly from the first clusters to now; none if sizes have always been the same."""
    if len(past.sizes) < 2:
        return []
    first_ms = past.sizes[0].at_ms
    return [first_ms + (past.until_ms - first_ms) * at // (_MOMENTS - 1) for at in range(_MOMENTS)]


def _bar(share: float | None, largest: float) -> str:
    if share is None:
        return "·"
    return _BARS[min(len(_BARS) - 1, int(share / largest * len(_BARS)))]


def _show_quality(quality: Mapping[str, Any]) -> None:
    show(
        f"\n[bold]their quality[/]  version {quality['model']} as of {iso(quality['as_of_ms'])}, "
        f"judged on {quality['sampled']:,} customers"
    )
    table = grid(" name", " value", " meaning", right=(" value",))
    table.add_row("silhouette", f"{quality['silhouette']:.3f}", "-1 to 1, the more the better")
    table.add_row("Davies-Bouldin", f"{quality['davies_bouldin']:.3f}", "the less the better")
    table.add_row("stability", f"{quality['stability']:.3f}", "1: customers lie as in the version before")
    show_table(table)


def _show_percentiles(features: Mapping[str, Any], currency: str) -> None:
    show("\n[bold]percentiles in force[/]" if features else "\nno percentiles yet")
    table = grid("feature", "customers", "that many do not exceed", right=("customers",))
    for asked, one in features.items():
        table.add_row(plain(_feature(asked)), f"{one['count']:,}", plain("   ".join(_points(asked, one, currency))))
    if features:
        show_table(table)


def _feature(asked: str) -> str:
    name, _, above = asked.partition(" ")
    return f"{name.removesuffix('_cents')} {above}".rstrip()


def _points(asked: str, one: Mapping[str, Any], currency: str) -> Iterator[str]:
    spec = FEATURES[asked.partition(" ")[0]]
    unit = f" {currency}" if spec.unit == "cents" else ""
    for point, value in one["points"].items():
        yield f"{point} %: {readable(spec, value, exponent_of(currency))}{unit}"


def _show_scores(scores: Mapping[str, Any]) -> None:
    show("\n[bold]scores[/]")
    numbers = ("learned from", "judged on", "AUC", "calibration error", "Brier", "came true")
    table = grid("score", *numbers, right=numbers)
    for name, one in scores.items():
        judged = one["quality"]
        shown = ["-"] * 5 if judged is None else [
            f"{judged['examples']:,.0f}",
            f"{judged['auc']:.3f}",
            f"{judged['ece']:.3f}",
            f"{judged['brier']:.3f}",
            f"{judged['base_rate']:.1%}",
        ]  # fmt: skip
        table.add_row(plain(name), f"{one['examples']:,}", *shown)
    show_table(table)


def _show_happened(past: History, limit: int) -> None:
    newest = _newest(past, limit)
    more = len(past.happened) - len(newest)
    if not newest:
        show("\nno alarm, birth or death is known (see --models)")
        return
    show("\n[bold]what happened[/]  the newest first" + (f"; {more:,} more: raise --limit" if more else ""))
    table = grid(" time", " kind", " what")
    for one in newest:
        table.add_row(iso(one.at_ms), one.kind, plain(_said(one, past.names)))
    show_table(table)


def _said(one: Happened, names: Mapping[int, str]) -> str:
    if one.kind == "drift":
        if one.habits:
            fallen = [f"{axis} ({was:.2f}, now {now:.2f})" for axis, (was, now) in sorted(one.habits.items())]
            return f"customers do not go on as they did: {', '.join(fallen)}"
        if one.features is None:
            return "customers lie nearer to the centres, or farther away, than they did"
        moved = sorted(one.features.items(), key=lambda item: (-(item[1] or float("inf")), item[0]))
        return ", ".join(f"{name} (nobody has it)" if psi is None else f"{name} (PSI {psi:.2f})" for name, psi in moved)
    of = [_cluster(one.cluster_id, names)]
    if one.other_id is not None:
        of += ["into" if one.kind == "merged" else "from", _cluster(one.other_id, names)]
    return " ".join(of)


def _cluster(cluster_id: int | None, names: Mapping[int, str]) -> str:
    name = None if cluster_id is None else names.get(cluster_id)
    return f"{cluster_id}" if name is None else f"{cluster_id} ({name})"
