"""`segmill verify`: are two exports the same?"""

import json
from pathlib import Path
from typing import Any

import click

from jobs.commands.console import grid, plain, progress, show, show_table
from jobs.verify import KEYS, Compared, Verification, verify

DIFFERENT = 3
_LONGEST_CHARS = 200


@click.command("verify")
@click.argument("a", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("b", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--only", "names", type=click.Choice([name.removesuffix(".jsonl") for name in KEYS]), multiple=True,
              help="Compare this file only. May be repeated.")  # fmt: skip
@click.option("--ignore-as-of", is_flag=True,
              help="Profiles may be as of different times, as those of a live job are: of such, compare only what "
              "time alone does not change.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify_command(a: Path, b: Path, names: tuple[str, ...], ignore_as_of: bool, as_json: bool) -> None:
    """Compare A and B, two folders that `segmill export` wrote; exits with 3 if they differ.

    The first difference of each file is printed, down to the field. docs/verify.md says what a live job and a run over
    files have in common.

    \b
      segmill export --from out --out backfill
      segmill export --redis redis://localhost:6379 --out live
      segmill verify live backfill --ignore-as-of
    """
    chosen = tuple(name for name in KEYS if not names or name.removesuffix(".jsonl") in names)
    with progress(counted=True) as bars:
        tasks: dict[str, Any] = {}

        def on_line(name: str) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=None, note="")
            bars.advance(tasks[name])

        found = verify(a, b, chosen, ignore_as_of=ignore_as_of, on_line=on_line)
    if as_json:
        files = {name: compared.as_dict() for name, compared in found.files.items()}
        click.echo(json.dumps({"equal": found.equal, "files": files}, indent=2, ensure_ascii=False))
    else:
        _show(found, a, b)
    if not found.equal:
        raise click.exceptions.Exit(DIFFERENT)


def _show(found: Verification, a: Path, b: Path) -> None:
    numbers = ("lines of A", "lines of B", "different", "only in A", "only in B")
    table = grid("file", "", *numbers, right=numbers)
    for name, one in found.files.items():
        counts = (one.lines_a, one.lines_b, one.different, one.only_a, one.only_b)
        table.add_row(name, "equal" if one.equal else "DIFFERENT", *(f"{count:,}" for count in counts))
    show_table(table)
    for name, one in found.files.items():
        if one.of_other_times:
            show(f"{name}: {one.of_other_times:,} as of other times: only what time alone does not change was compared")
        if one.first is not None:
            show(_first(name, one, a, b))


def _first(name: str, compared: Compared, a: Path, b: Path) -> str:
    first = compared.first
    assert first is not None  # noqa: S101  (for the type checker)
    where = f"{name}: first difference at {first.key}" + (f", {first.field}" if first.field else "")
    return plain(f"{where}\n  {a}: {_value(first.a)}\n  {b}: {_value(first.b)}")


def _value(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_CHARS else f"{text[:_LONGEST_CHARS]}…"
