"""`segmill`: the command line.

Exit codes: 0 done; 1 it could not be done, the message says why; 2 wrong usage; 3 the answer is no (rules check found
faults, show found nothing); 130 interrupted.
"""

import sys

import click

from jobs.commands.export import export_command
from jobs.commands.rules import rules_group
from jobs.commands.run import run_command
from jobs.commands.show import show_group
from jobs.commands.simulate import simulate_command

EXPLAINED = ("LogError", "RuleError", "RuntimeProblem", "RedisFailure", "SimulationError", "StoreError",
             "ConservationError")  # fmt: skip
"""Errors whose message says all that a user needs; anything else is a fault of the program and shows its trace."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="segmill", prog_name="segmill")
def segmill() -> None:
    """Live customer segments and similar products from a shop's events.

    \b
    Start here:   segmill run                       replay the shipped data set
                  segmill show customer 14911 --from out
                  segmill rules try my.toml EVENTS  who would move under other rules
    """


for command in (run_command, export_command, show_group, rules_group, simulate_command):
    segmill.add_command(command)


def main() -> None:
    """Run the command line; known errors become one line on standard error."""
    try:
        code = segmill.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        if not any(kind.__name__ in EXPLAINED for kind in type(error).__mro__):
            raise
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
