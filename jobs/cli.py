"""`segmill`: the command line.

Exit codes: 0 done; 1 it could not be done, the message says why; 2 wrong usage; 3 the answer is no (rules check found
faults, show or population found nothing); 130 interrupted.
"""

import os
import sys
from importlib import import_module

import click

EXPLAINED = ("LogError", "RuleError", "RuntimeProblem", "RedisFailure", "SimulationError", "StoreError", "OutputError",
             "ConservationError", "ClicksError", "SettingsError", "CatalogError")  # fmt: skip
"""Errors whose message says all that a user needs; anything else is a fault of the program and shows its trace."""

COMMANDS = {
    "run": ("jobs.commands.run", "run_command", "Replay event logs: profiles, segments, similar items."),
    "export": ("jobs.commands.export", "export_command", "Write what a run left to JSON lines."),
    "verify": ("jobs.commands.verify", "verify_command", "Say whether two exports are the same."),
    "show": ("jobs.commands.show", "show_group", "Look at one customer, item or segment."),
    "population": ("jobs.commands.population", "population_group", "Look at what all customers have in common."),
    "rules": ("jobs.commands.rules", "rules_group", "Check rule files, and try them on a log."),
    "evaluate": ("jobs.commands.evaluate", "evaluate_command", "How good recommendations are, on a log."),
    "experiments": ("jobs.commands.experiments", "experiments_group", "How experiments stand, and who gets what."),
    "catalog": ("jobs.commands.catalog", "catalog_group", "Check the shop's catalog, and load it into Redis."),
    "content": ("jobs.commands.content", "content_group", "Check banners and messages, and try them on a customer."),
    "topics": ("jobs.commands.topics", "topics_group", "Make and check the Kafka topics of a live job."),
    "control": (
        "jobs.commands.control",
        "control_group",
        "Other rules and settings for running jobs; results as of one moment.",
    ),
    "replay": ("jobs.commands.replay", "replay_command", "Replay event logs into a Kafka topic."),
    "forward": ("jobs.commands.forward", "forward_command", "Send the records of a topic to a webhook."),
    "simulate": ("jobs.commands.simulate", "simulate_command", "Write an event log whose truth is known."),
    "stack": ("jobs.commands.stack", "stack_group", "Kafka, a Flink cluster and Redis on this machine."),
    "submit": ("jobs.commands.submit", "submit_group", "Start a live job on a Flink cluster."),
    "serve": ("jobs.commands.serve", "serve_command", "Serve recommendations, profiles and segments over HTTP."),
    "keys": ("jobs.commands.keys", "keys_group", "Keys of the HTTP API."),
    "jobs": ("jobs.commands.jobs", "jobs_command", "List the jobs of a Flink cluster."),
    "stop": ("jobs.commands.jobs", "stop_command", "Stop a job with a savepoint."),
}
"""Name: module, function in it, and one line of help."""


class Commands(click.Group):
    """Loads a command's module only when the command is called: `--help` is there at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, _, about) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="segmill", prog_name="segmill")
def segmill() -> None:
    """Live customer segments and similar products from a shop's events.

    \b
    Start here:
      segmill run                               replay the shipped data set into ./out
      segmill show customer 14911               what is known of one customer now
      segmill export --out export               everything, as JSON lines
      segmill rules try my.toml events.jsonl    who would move under other rules

    `segmill COMMAND --help` tells more.

    \b
    Exit codes: 0 done; 1 not done, the message says why; 2 wrong usage; 130 interrupted;
    3 the answer is no: rules check found faults, show or population found nothing, verify found a difference.
    """


def main() -> None:
    """Run the command line; known errors become one line on standard error."""
    sys.exit(_code())


def _code() -> int:
    try:
        code = segmill.main(standalone_mode=False)
        sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:  # `segmill ... | head`: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(f"Error: {os.fsdecode(error.filename)}: {error.strerror}", err=True)
        return 1
    except Exception as error:
        if not any(kind.__name__ in EXPLAINED for kind in type(error).__mro__):
            raise
        click.echo(f"Error: {error}", err=True)
        return 1
    return code if isinstance(code, int) else 0
