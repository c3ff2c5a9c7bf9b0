"""`segmill experiments`: how experiments stand, and who gets what."""

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from jobs.commands.console import grid, plain, show, show_table, warn
from jobs.commands.faults import tell_faults
from jobs.commands.options import TimeParam, iso, redis_option
from jobs.commands.store_options import NOT_FOUND, missing, opened, source_options
from jobs.commands.values import amount
from schemas.decode import wall_clock_ms
from schemas.money import exponent_of
from serving.experiments.assignment import arms
from serving.experiments.definitions import Experiments
from serving.experiments.document import PLANNED, load_experiments
from serving.experiments.standing import NotShown, standing
from state.experiments.planning import customers_needed, spread_of_share
from state.experiments.report import MISMATCH, Compared, ExperimentReport, Ratio, VariantReport
from state.rules.errors import RuleError

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NAMES = {
    "ctr": "clicks per impression",
    "conversion": "customers with an order",
    "orders_per_customer": "orders per customer",
    "revenue_per_customer_cents": "revenue per customer",
    "average_order_value_cents": "average order value",
}
_SHARES = frozenset({"ctr", "conversion"})
_LEAST_P = 0.0001
_definitions = click.option(
    "--definitions", type=_FILE,
    help="Definitions of experiments: which variant is the control, and for how many customers it was planned.",
)  # fmt: skip


@click.group("experiments", invoke_without_command=True)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="So many at most.")
@click.option("--after", metavar="NAME", default="", help="Only names after this one: the next page.")
@click.option("--undefined", is_flag=True, help="Only those that are not in --definitions.")
@_definitions
@source_options
@click.pass_context
def experiments_group(
    context: click.Context, limit: int, after: str, undefined: bool, definitions: Path | None, left_in: Path | None,
    redis_url: str | None, prefix: str, as_json: bool,
) -> None:  # fmt: skip
    """How experiments stand (docs/experiments.md); without a command, all of them in a line each, by name.

    \b
      segmill experiments --redis redis://localhost:6379
      segmill experiments show blend --redis redis://localhost:6379
      segmill experiments check experiments.toml
      segmill experiments assign experiments.toml 14911
      segmill experiments plan --share 0.03 --lift 0.1
      segmill experiments forget made-up --redis redis://localhost:6379
    """
    if context.invoked_subcommand is not None:
        return
    if undefined and definitions is None:
        raise click.UsageError("--undefined needs --definitions FILE")
    known = _known(definitions)
    with opened(redis_url, left_in, prefix) as store:
        listed = [name for name in store.experiment_names() if name > after and not (undefined and known.defines(name))]
        found = [standing(name, stored, known) for name, stored in store.experiments(listed[:limit])]
    if as_json:
        _print(found)
        return
    if not found:
        missing("experiments", "Nobody was shown a recommendation with such a variant so far.")
    table = grid("experiment", "customers", "variants", "shares kept", "seen so far", right=("customers",))
    for one in found:
        names = ", ".join(variant.variant for variant in one.variants)
        name = f"{plain(one.experiment)} (undefined)" if one.defined is False else plain(one.experiment)
        table.add_row(name, f"{one.customers:,}", plain(names), _kept(one.sample_ratio), _seen(one))
    show_table(table)
    if len(listed) > limit:
        show(f"and {len(listed) - limit:,} more: --after {plain(listed[limit - 1])}")


@experiments_group.command("forget")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@redis_option("Redis to remove them from.")
@click.option("--prefix", default="segmill:", show_default=True, help="Prefix of the Redis keys.")
def forget_command(names: tuple[str, ...], redis_url: str | None, prefix: str) -> None:
    """Remove how the experiments NAME... stand from Redis: of labels that were made up, or of what is long over.

    The job knows them still. It writes one again, whole, with the next event that changes it (a label that names it, an
    order or refund of a customer who saw it), and so does a replay. Take it out of the pages first.
    """
    if redis_url is None:
        raise click.UsageError("say where from: --redis URL, or SEGMILL_REDIS_URL")
    with opened(redis_url, None, prefix) as store:
        gone = {name: store.forget_experiment(name) for name in names}
    for name, was_there in gone.items():
        click.echo(f"experiment {name}: " + ("removed" if was_there else "not there"), err=not was_there)
    if any(gone.values()):
        warn("the job still knows what was removed, and writes it again with the next event that changes it")
    if not all(gone.values()):
        raise click.exceptions.Exit(NOT_FOUND)


@experiments_group.command("show")
@click.argument("name")
@click.option("--segment", help="Only customers who were in this segment when they first saw something of it.")
@click.option("--control", help="Compare with this variant. Default: the first of its definition, or among the shares.")
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
              help="Greatest chance that any variant is ever wrongly said to differ, in one metric.")  # fmt: skip
@_definitions
@source_options
def show_command(
    name: str, segment: str | None, control: str | None, alpha: float, definitions: Path | None, left_in: Path | None,
    redis_url: str | None, prefix: str, as_json: bool,
) -> None:  # fmt: skip
    """Every variant of the experiment NAME beside the control, in every metric.

    Intervals and p-values hold whenever and however often they are looked at. `holdout` is the name under which those
    who are held out of all experiments stand beside all others.
    """
    with opened(redis_url, left_in, prefix) as store:
        stored = store.experiment(name)
        currency = store.meta().get("currency", "")
    if stored is None:
        missing(f"experiment {name}", "`segmill experiments` lists those that were shown to somebody.")
    try:
        found = standing(name, stored, _known(definitions), control=control, segment=segment, alpha=alpha)
    except NotShown as error:
        missing(f"{error.part} {error.name} in experiment {name}", f"There are: {error.there}.")
    if as_json:
        _print(found)
    else:
        _show(found, alpha, currency)


@experiments_group.command("check")
@click.argument("file", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_command(file: Path, as_json: bool) -> None:
    """Check FILE, the definitions of experiments. Prints every fault with its line; exits with 3 if there is one."""
    try:
        known = load_experiments(file)
    except RuleError as error:
        tell_faults(error, as_json)
    if as_json:
        names = [experiment.name for experiment in known.experiments]
        click.echo(json.dumps({"ok": True, "version": known.version, "experiments": names}, indent=2))
        return
    _show_definitions(file, known)


@experiments_group.command("assign")
@click.argument("file", type=_FILE)
@click.argument("customer_ids", nargs=-1, required=True, metavar="CUSTOMER_ID...")
@click.option("--at", "at_ms", type=TimeParam(), help="As of this time. Default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def assign_command(file: Path, customer_ids: tuple[str, ...], at_ms: int | None, as_json: bool) -> None:
    """Say which variants customers get of the experiments in FILE: the same here as in any server."""
    known = load_experiments(file)
    now_ms = wall_clock_ms() if at_ms is None else at_ms
    table = grid("customer", "experiment", "variant")
    for customer_id in customer_ids:
        got = {arm.experiment: arm.variant for arm in arms(known, customer_id, now_ms)}
        if as_json:
            click.echo(json.dumps({"customer_id": customer_id, "experiments": got}, ensure_ascii=False))
        for name, variant in got.items() or [("", "none")]:
            table.add_row(plain(customer_id), plain(name), plain(variant))
    if not as_json:
        show_table(table)


@experiments_group.command("plan")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True, max_open=True), required=True, metavar="SHARE",
              help="Of customers who do it now: order something, say. 0.03 is 3 %.")  # fmt: skip
@click.option("--lift", type=click.FloatRange(min=0, min_open=True), required=True, metavar="SHARE",
              help="The least improvement that matters: 0.1 is from 3 % to 3.3 %.")  # fmt: skip
@click.option("--variants", type=click.IntRange(min=2, max=64), default=2, show_default=True,
              help="The control included.")  # fmt: skip
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
              help="Greatest chance of seeing a difference where there is none.")  # fmt: skip
@click.option("--power", type=click.FloatRange(0.5, 1, max_open=True), default=0.8, show_default=True,
              help="Chance of seeing the improvement if there is one.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan_command(share: float, lift: float, variants: int, alpha: float, power: float, as_json: bool) -> None:
    """Say how many customers an experiment needs.

    \b
      segmill experiments plan --share 0.03 --lift 0.1
    """
    better = share * (1 + lift)
    if better >= 1:
        raise click.UsageError(f"--lift {lift:g}: {share:.1%} and {lift:.1%} more of it are more than everybody")
    spreads = spread_of_share(share), spread_of_share(better)
    needed = customers_needed(better - share, *spreads, alpha=alpha, power=power, comparisons=variants - 1)
    if as_json:
        click.echo(json.dumps({"customers_per_variant": needed._asdict(), "variants": variants}))
        return
    show(f"from {share:.2%} to {better:.2%}, seen with a chance of {power:.0%}, at {1 - alpha:.0%}:")
    show(f"  {needed.any_look:,} customers of each variant at most, looking whenever you like; mostly fewer")
    show(f"  {needed.one_look:,} for a test that is looked at once, when they are all there")
    show("write this into its definition before it starts, and leave it: intervals are tightest then")
    show(f"  {PLANNED} = {needed.any_look}")


def _known(definitions: Path | None) -> Experiments:
    return Experiments() if definitions is None else load_experiments(definitions)


def _show_definitions(file: Path, known: Experiments) -> None:
    held = f"; {known.holdout_share:.1%} of all customers are held out" if known.holdout_share else ""
    show(f"{plain(file)}: {len(known.experiments)} experiments{held}; version {known.version}")
    table = grid("experiment", "traffic", "group", "variants")
    for one in known.experiments:
        variants = ", ".join(
            f"{name} {part / sum(one.parts):.1%}" for name, part in zip(one.variants, one.parts, strict=True)
        )
        table.add_row(plain(one.name), "{:.1%} to {:.1%}".format(*one.traffic), plain(one.group or ""), plain(variants))
    show_table(table)


def _show(found: ExperimentReport, alpha: float, currency: str) -> None:
    of = f", customers in {plain(found.segment)}" if found.segment else ""
    show(f"[bold]experiment {plain(found.experiment)}[/]  as of {iso(found.as_of_ms)}{of}")
    show(f"{found.customers:,} customers; shares of traffic: {_kept(found.sample_ratio)}")
    show(f"intervals are tightest at {found.tightest_at_customers:,} customers of control and variant together")
    if found.left_out:
        show(f"[yellow]{found.left_out:,} entries had no room: too many variants and segments[/]")
    show()
    counted = ("customers", "impressions", "clicks", "with an order", "orders", "revenue", "crossed")
    table = grid("variant", *counted, right=counted)
    for one in found.variants:
        name = f"{plain(one.variant)} (control)" if one.variant == found.control else plain(one.variant)
        crossed = "-" if one.crossed is None else f"{one.crossed:,}"
        numbers = [f"{number:,}" for number in (one.customers, one.shown, one.clicked, one.converted, one.orders)]
        table.add_row(name, *numbers, _money(one.cents, currency), crossed)
    show_table(table)
    values = {one.variant: one.metrics for one in found.variants}
    for variant in found.variants:
        if variant.variant != found.control:
            _show_comparison(variant, values, str(found.control), alpha, currency)


def _show_comparison(
    variant: VariantReport, values: dict[str, dict[str, float | None]], control: str, alpha: float, currency: str
) -> None:
    show(f"\n[bold]{plain(variant.variant)}[/] beside {plain(control)}, at {1 - alpha:.0%}, at any time")
    table = grid("metric", control, "value", "lift", "from", "to", "p", "so far",
                 right=(control, "value", "lift", "from", "to", "p"))  # fmt: skip
    for one in variant.compared:
        before, now = one.control, one.variant
        if before is None or now is None:  # nothing to average: then as they are
            before, now = (values[name][one.metric] for name in (control, variant.variant))
        lift = [_percent(part) for part in (one.lift, one.lift_low, one.lift_high)]
        table.add_row(_NAMES[one.metric], _value(one.metric, before, currency), _value(one.metric, now, currency),
                      *lift, _p(one.p_value), _so_far(one))  # fmt: skip
    show_table(table)


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if value >= _LEAST_P else f"<{_LEAST_P}"  # no chance is 0


def _so_far(one: Compared) -> str:
    return f"{one.verdict}: {one.reason}" if one.verdict == "too few" else one.verdict


def _kept(ratio: Ratio) -> str:
    if ratio.verdict == MISMATCH:
        off = f"{plain(ratio.variant)} has {ratio.observed:,}, expected {ratio.expected:,.0f}"
        return f"[red]MISMATCH[/], p = {ratio.p_value:.2g}: {off}; nothing below can be trusted"
    return ratio.verdict


def _seen(found: ExperimentReport) -> str:
    if found.sample_ratio.verdict == MISMATCH:
        return "nothing that can be trusted"
    seen = [
        f"{variant.variant} {one.verdict} in {_NAMES[one.metric]}"
        for variant in found.variants
        for one in variant.compared
        if one.verdict in ("better", "worse")
    ]
    return plain("; ".join(seen)) or "nothing yet"


def _value(metric: str, value: float | None, currency: str) -> str:
    if value is None:
        return "-"
    if metric.endswith("_cents"):
        return _money(value, currency)
    return f"{value:.2%}" if metric in _SHARES else f"{value:.3f}"


def _money(cents: float, currency: str) -> str:
    return f"{amount(cents, exponent_of(currency))} {currency}".rstrip()


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:+.1%}"


def _print(found: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
