"""`segmill show`: one customer, item or segment."""

import json
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from jobs.commands.console import grid, plain, show, show_table
from jobs.commands.options import iso
from jobs.commands.store_options import missing, opened, source_options
from jobs.commands.values import readable
from jobs.examples import ONLINE_RETAIL
from schemas.adapters.online_retail import product_names
from schemas.money import exponent_of
from state.rules.features import FEATURES, METRICS, WINDOW_DAYS, window_feature
from state.similar.settings import RELATIONS


@click.group("show")
def show_group() -> None:
    """Look at one customer, item or segment of a run or of a Redis.

    \b
      segmill show customer 14911 --from out
      segmill show item 85123A --from out
      segmill show segment frequent-buyers --from out --json
    """


@show_group.command("customer")
@click.argument("customer_id")
@source_options
def show_customer(customer_id: str, left_in: Path | None, redis_url: str | None, prefix: str, as_json: bool) -> None:
    """A customer's features and segments."""
    with opened(redis_url, left_in, prefix) as store:
        profile = store.profile(customer_id)
        currency = store.meta().get("currency", "")
    if profile is None:
        missing(f"customer {customer_id}", "Was it erased, or did it withdraw consent? Ids are case-sensitive.")
    if as_json:
        click.echo(json.dumps(profile, ensure_ascii=False, indent=2, sort_keys=True))
        return
    features = profile["features"]
    show(f"[bold]customer {plain(customer_id)}[/]  as of {iso(profile['as_of_ms'])}\n")
    exponent = exponent_of(currency)
    show_table(_windows(features, exponent))
    rest = grid(" feature", " value")
    for name, spec in FEATURES.items():
        if spec.metric is None and name in features:
            unit = f" {plain(currency)}" if spec.unit == "cents" else ""
            rest.add_row(name.removesuffix("_cents"), plain(readable(spec, features[name], exponent)) + unit)
    show()
    show_table(rest)
    segments = sorted(profile["segments"].items(), key=lambda item: (item[1], item[0]))
    show("\n[bold]segments[/]" if segments else "\nin no segment")
    for name, since_ms in segments:
        show(f"  {plain(name)} [dim]since {iso(since_ms)}[/]")
    if "cluster" in profile:
        cluster = profile["cluster"]
        sure = cluster["probabilities"][str(cluster["id"])]
        show(f"\n[bold]cluster {cluster['id']}[/]  {plain(cluster['name'])} [dim](probability {sure:.2f})[/]")
    for name, share in sorted(profile.get("scores", {}).items()):
        show(f"{plain(name)} {share:.1%}")


def _windows(features: dict[str, Any], exponent: int) -> Table:
    days = [f"{days} d" for days in WINDOW_DAYS]
    table = grid(" metric", *days, right=tuple(days))
    for metric in METRICS:
        specs = [FEATURES[window_feature(metric, days)] for days in WINDOW_DAYS]
        values = [(spec, features.get(spec.name)) for spec in specs]
        table.add_row(metric, *(readable(spec, value, exponent) if value else "-" for spec, value in values))
    return table


@show_group.command("item")
@click.argument("item_id")
@click.option("--relation", type=click.Choice(RELATIONS), help="Only this one.")
@click.option("--limit", type=click.IntRange(1, 50), default=10, show_default=True)
@source_options
def show_item(
    item_id: str,
    relation: str | None,
    limit: int,
    left_in: Path | None,
    redis_url: str | None,
    prefix: str,
    as_json: bool,
) -> None:
    """The products that go together with one."""
    with opened(redis_url, left_in, prefix) as store:
        found = {name: store.similar(name, item_id) for name in RELATIONS if relation in (None, name)}
    lists: dict[str, Any] = {name: value["neighbours"][:limit] for name, value in found.items() if value is not None}
    if not lists:
        missing(f"item {item_id}", "Nobody viewed or bought it together with another one.")
    if as_json:
        shown = {
            name: [{"item_id": i, "score": score, "support": support} for i, score, support in neighbours]
            for name, neighbours in lists.items()
        }
        click.echo(json.dumps({"item_id": item_id, **shown}, ensure_ascii=False, indent=2))
        return
    names = _names(item_id, lists)
    show(f"[bold]{plain(item_id)}[/]  {plain(names.get(item_id, ''))}".rstrip())
    for name, neighbours in lists.items():
        table = grid("score", "support", "item", " description", right=("score", "support"))
        for neighbour, score, support in neighbours:
            table.add_row(f"{score:.3f}", str(support), plain(neighbour), plain(names.get(neighbour, "")))
        show(f"\n{name}")
        show_table(table)


def _names(item_id: str, lists: dict[str, Any]) -> dict[str, str]:
    """Descriptions, where the items are those of the shipped data set."""
    wanted = {item_id, *(neighbour[0] for neighbours in lists.values() for neighbour in neighbours)}
    names = product_names(ONLINE_RETAIL) if ONLINE_RETAIL.exists() else {}
    return names if wanted <= names.keys() else {}


@show_group.command("segment")
@click.argument("name")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Members to print.")
@source_options
def show_segment(
    name: str, limit: int, left_in: Path | None, redis_url: str | None, prefix: str, as_json: bool
) -> None:
    """The members of a segment, the newest first."""
    with opened(redis_url, left_in, prefix) as store:
        members = store.members(name)
        known = store.segments()
    if not members:
        missing(f"segment {name}", f"It has no members. Segments with members: {', '.join(known) or 'none'}.")
    newest = sorted(members, key=lambda member: (-member[1], member[0]))[:limit]
    if as_json:
        shown = [{"customer_id": member, "since_ms": since_ms} for member, since_ms in newest]
        click.echo(json.dumps({"segment": name, "count": len(members), "members": shown}, ensure_ascii=False, indent=2))
        return
    show(f"[bold]{plain(name)}[/]  {len(members):,} members")
    for member, since_ms in newest:
        show(f"  {plain(member)} [dim]since {iso(since_ms)}[/]")
    if len(members) > limit:
        show(f"  [dim]and {len(members) - limit:,} more: raise --limit[/]")
