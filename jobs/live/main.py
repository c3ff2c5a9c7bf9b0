"""The live job for `flink run -pym jobs.live.main`: builds the graph in Flink's own client.

Options are those of `segmill submit segments` that are about the job itself; where it runs and from which savepoint,
`flink run` is told.
"""

from functools import partial
from importlib import import_module
from typing import Any

import click

from jobs.commands.job_options import job_options, live_spec


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@job_options
def main(**options: Any) -> None:
    """Build the live job and hand it to the cluster that `flink run` was told."""
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment

    from jobs.live.configuration import configuration
    from jobs.live.job import add_live_job
    from jobs.live.submit import check_redis, check_topics
    from operators.shipping import ship

    try:
        ship(import_module("segmill_build").BUILD)
    except ModuleNotFoundError:
        raise click.ClickException("the job has no code to bring along: `-pyfs segmill.zip` (docs/live.md)") from None
    spec = live_spec(**options)
    check_topics(spec)
    check_redis(spec, partial(click.echo, err=True))
    settings: Any = Configuration()
    for name, value in configuration(spec).items():
        settings.set_string(name, value)
    environment = StreamExecutionEnvironment.get_execution_environment(settings)
    add_live_job(environment, spec)
    environment.execute_async(spec.name)


if __name__ == "__main__":
    main()
