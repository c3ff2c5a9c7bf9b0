"""What `check` commands say of a TOML file with faults."""

import json
from collections.abc import Sequence
from typing import NoReturn

import click

from state.rules.errors import Problem, RuleError

FAULTY = 3
PLACE_AND_MESSAGE = ("line", "column", "message")
"""What JSON says of a fault in content or in experiments; of one in rules it says all there is."""


def tell_faults(error: RuleError, as_json: bool, fields: Sequence[str] = Problem._fields) -> NoReturn:
    """Print every fault, as JSON with these fields of each, and end with the exit code that means no."""
    if as_json:
        problems = [{field: getattr(problem, field) for field in fields} for problem in error.problems]
        click.echo(json.dumps({"ok": False, "problems": problems}, indent=2))
    else:
        click.echo(str(error), err=True)
        click.echo(f"{len(error.problems)} fault{'s' if len(error.problems) != 1 else ''}", err=True)
    raise click.exceptions.Exit(FAULTY) from None
