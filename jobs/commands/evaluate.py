"""`segmill evaluate`: how good recommendations are, on a log."""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from jobs.commands.console import grid, plain, progress, say, show, show_table, warn
from jobs.commands.options import FORMATS, TimeParam, iso
from jobs.rehearsal import decoded
from schemas.logs import open_log
from schemas.settings import Settings, load_settings
from serving.catalog.item import Item
from serving.catalog.reading import Reading, read_catalog
from serving.evaluation.clicks import are_clicks, click_events
from serving.evaluation.measures import LEVEL, Interval, Report, Tally, difference, report
from serving.evaluation.replay import ANY, NEW, Asked, Event, Replay
from serving.ranking.strategies import STRATEGIES
from state.rules.ruleset import load_rules

WARM_UP = 0.5
DUPLICATE = "duplicate"
COMPARED = "VS-KNN (2018)"
_WORDS = {NEW: "the next item not seen in the session before", ANY: "the next item whatever it is, returns included"}


@click.command("evaluate")
@click.argument("log", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--strategy",
    "strategies",
    type=click.Choice(sorted(STRATEGIES)),
    multiple=True,
    help="Only this one. May be repeated. Default: all.",
)
@click.option(
    "--baselines/--no-baselines", default=True, show_default=True, help="Published neighbourhood methods beside them."
)
@click.option(
    "-k", "--top", "k", type=click.IntRange(1, 100), default=20, show_default=True, help="Items of an answer."
)
@click.option("--ask-from", type=TimeParam(), help="Views before this time are only learned.")
@click.option(
    "--warm-up",
    type=click.FloatRange(0, 1, max_open=True),
    default=WARM_UP,
    show_default=True,
    help="Share of the events that is only learned, if no --ask-from is given.",
)
@click.option(
    "--learn-until", type=TimeParam(), help="Learn nothing from this time on, as where a test set is split off."
)
@click.option(
    "--first-views", is_flag=True, help="Ask for the first view of a session too, of visitors who came before."
)
@click.option("--format", "log_format", type=click.Choice(FORMATS), default="auto", show_default=True)
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Rule file of the segments. Default: the shipped rules.",
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML file of settings (docs/settings.md).",
)
@click.option(
    "--catalog",
    "catalog_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What the shop says of its items (as for `segmill catalog load`): for stock, variety, categories, new items.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate_command(
    log: tuple[Path, ...], strategies: tuple[str, ...], baselines: bool, k: int, ask_from: int | None, warm_up: float,
    learn_until: int | None, first_views: bool, log_format: str, rules_file: Path | None, settings_file: Path | None,
    catalog_file: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Replay LOG as the live job would, and foretell each next view before it is learned.

    LOG: files or folders of events as for `segmill run`, or click sessions as research publishes them (a header
    SessionId, ItemId, Time separated by tabs; or RetailRocket's events.csv). All events are held in memory, in the
    order of their times.

    \b
      segmill simulate shop.jsonl.zst --events 50000 --customers 2000
      segmill evaluate shop.jsonl.zst
      segmill evaluate train.txt test.txt --ask-from 2014-04-07T00:00:00Z --json
    """
    if math.isnan(warm_up):  # which is in every range, as it is not outside
        raise click.BadParameter("nan is no share", param_hint="'--warm-up'")
    settings, rules = load_settings(settings_file), load_rules(rules_file)
    catalog = _catalog(catalog_file) if catalog_file is not None else []
    with progress(counted=True) as bars:
        reading = bars.add_task("reading", total=None, note="events")
        events, rejected = _events(log, log_format, settings, lambda: bars.advance(reading))
        if not events:
            raise click.ClickException(f"the log holds no valid event to replay ({_counted(rejected)})")
        if ask_from is None:
            ask_from = events[int(warm_up * (len(events) - 1))].fact.time_ms
        asked = Asked(
            k=k, strategies=strategies or tuple(STRATEGIES), with_baselines=baselines, from_ms=ask_from,
            until_ms=learn_until, first_views=first_views,
        )  # fmt: skip
        replay = Replay(settings, rules, asked, catalog)
        bars.update(reading, visible=False)
        replaying = bars.add_task("foretelling", total=len(events), note="events")
        asyncio.run(replay.run(events, lambda: bars.advance(replaying)))
    measured = {
        question: {name: report(tally, replay.popularity) for name, tally in tallies.items()}
        for question, tallies in replay.tallies.items()
    }
    if not measured[ANY]:
        raise click.ClickException("nothing was asked: no session has a second view after the warm-up; see --ask-from")
    if as_json:
        document = _document(asked, measured, len(events), rejected)
        document["differences"] = {q: _differences(tallies) for q, tallies in replay.tallies.items()}
        click.echo(json.dumps(document, indent=2))
        return
    say(f"{len(events):,} events, {_counted(rejected)}; asked from {iso(ask_from)}")
    for question, reports in measured.items():
        _show(question, reports, k)
        for name, one in _differences(replay.tallies[question]).items():
            hit_rate, reciprocal = one["hit_rate"], one["reciprocal_rank"]
            show(
                f"[dim]{plain(name)} − {plain(COMPARED)}: HR@{k} {hit_rate['low']:+.3f} to {hit_rate['high']:+.3f}, "
                f"MRR@{k} {reciprocal['low']:+.3f} to {reciprocal['high']:+.3f}[/]"
            )


def _differences(tallies: Mapping[str, Tally]) -> dict[str, dict[str, Any]]:
    """Of each strategy what it has more than the strongest published method."""
    compared = tallies.get(COMPARED)
    found = {name: difference(tally, compared) for name, tally in tallies.items() if compared and name in STRATEGIES}
    return {name: asdict(one) for name, one in found.items() if one is not None}


def _events(
    paths: tuple[Path, ...], log_format: str, settings: Settings, on_event: Callable[[], None]
) -> tuple[list[Event], Counter[str]]:
    """All valid events in the order of time, ties as they were read; and the rest by reason, repetitions included."""
    clicks = [path for path in paths if path.is_file() and are_clicks(path)]
    others = [path for path in paths if path not in clicks]
    found: list[Event] = []
    rejected: Counter[str] = Counter()
    raws = [raw for path in clicks for raw in click_events(path)]
    for record in open_log(others, log_format) if others else ():
        if record.rejected is None:
            raws.append(record.raw)
        else:
            rejected[str(record.rejected.reason)] += 1
    known: set[tuple[str, str]] = set()
    for event in decoded(raws, settings, rejected):
        subject, fact, _ = event
        if (subject, fact.event_id) in known:  # the job counts it once; who asked for it twice would know the answer
            rejected[DUPLICATE] += 1
            continue
        known.add((subject, fact.event_id))
        found.append(Event(*event))
        on_event()
    found.sort(key=lambda event: event.fact.time_ms)
    return found, rejected


def _catalog(file: Path) -> list[Item]:
    reading = Reading()
    items = read_catalog(file, reading)
    if reading.faults:
        warn(f"{file}: {len(reading.faults):,} lines are no items: left out; `segmill catalog check` lists them")
    return items


def _counted(rejected: Counter[str]) -> str:
    """Why records were left out."""
    return "rejected: " + (", ".join(f"{reason} {count:,}" for reason, count in rejected.most_common()) or "none")


def _document(
    asked: Asked, measured: dict[str, dict[str, Report]], events: int, rejected: Counter[str]
) -> dict[str, Any]:
    return {
        "k": asked.k,
        "asked_from_ms": asked.from_ms,
        "learned_until_ms": asked.until_ms,
        "events": events,
        "rejected": dict(rejected),
        "confidence": LEVEL,
        "version": version("segmill"),
        "questions": {
            question: {name: asdict(one) for name, one in reports.items()} for question, reports in measured.items()
        },
    }


def _show(question: str, reports: dict[str, Report], k: int) -> None:
    figures = (f"HR@{k}", f"MRR@{k}", f"NDCG@{k}", "coverage", "popularity", "Gini", "µs")
    table = grid("method", *figures, right=figures)
    for name, one in sorted(reports.items(), key=lambda entry: -entry[1].hit_rate.mean):
        table.add_row(
            plain(name), _interval(one.hit_rate), _interval(one.reciprocal_rank), _interval(one.ndcg),
            _interval(one.coverage), _interval(one.popularity), _interval(one.gini), f"{one.microseconds:,.0f}",
        )  # fmt: skip
    asked = max(one.questions for one in reports.values()) if reports else 0
    show(f"\n[bold]{question}[/]: {_WORDS[question]} ({asked:,} questions)\n")
    show_table(table)


def _interval(one: Interval) -> str:
    return f"{one.mean:.3f} ±{(one.high - one.low) / 2:.3f}"
