"""The graph of the live job."""

from typing import Any

from pyflink.table import StreamTableEnvironment

from jobs.factories import logics
from jobs.graph import MAX_PARALLELISM, Graph, GraphOptions, Outlets
from jobs.live.control import control_records
from jobs.live.settings import LiveSpec
from jobs.live.sinks import TopicSinks
from jobs.live.source import add_events


def add_live_job(environment: Any, spec: LiveSpec) -> None:
    """Add the live job to an environment whose Java knows the Kafka connector.

    Raises:
        KafkaProblem: a setting of the client has no counterpart in Java.
    """
    environment.set_parallelism(spec.parallelism)
    environment.set_max_parallelism(MAX_PARALLELISM)
    tables = StreamTableEnvironment.create(environment)
    sinks, topics = TopicSinks(tables, spec), spec.topics
    outlets = Outlets(
        segment_changes=sinks.keyed(topics.segment_changes),
        memberships=sinks.keyed(topics.segment_memberships),
        rejected=sinks.unkeyed(topics.events_rejected),
        similar=sinks.keyed(topics.similar_items),
        population_memberships=sinks.keyed(topics.population_memberships),
        models=sinks.keyed(topics.models),
        redis=spec.redis,
    )
    options = GraphOptions(bounded=False, one_subtask=spec.parallelism == 1, items_apart=spec.items_apart)
    graph = Graph(tables, outlets, options)
    clocked = add_events(tables, spec, control_records(tables, spec))
    bound = logics(spec.settings, spec.rules, spec.rules_source, as_of_ms=None)
    graph.build(lambda _: clocked.events, bound, lambda _: clocked.control)
    graph.to_redis(clocked.redis, "clock", stay=options.one_subtask)
