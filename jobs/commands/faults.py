"""What `check` commands say of a TOML file with faults."""

import json
from typing import NoReturn

import click

from state.rules.errors import RuleError

FAULTY = 3


def tell_faults(error: RuleError, as_json: bool) -> NoReturn:
    """Print every fault, which may be of another file that this one was held against; end with the exit code for no."""
    if as_json:
        problems = [problem._asdict() for problem in error.problems]
        click.echo(json.dumps({"ok": False, "problems": problems}, indent=2))
    else:
        click.echo(str(error), err=True)
        click.echo(f"{len(error.problems)} fault{'s' if len(error.problems) != 1 else ''}", err=True)
    raise click.exceptions.Exit(FAULTY) from None
