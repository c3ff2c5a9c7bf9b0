"""The job graph, the same for an embedded run and for a cluster: only its source and its sinks are exchanged.

::

    source -> CUSTOMER -> segment changes, memberships, rejected records, counts
                 |-> REDIS
                 +-> ITEM -> PUBLISH -> REDIS
                       +-> REDIS

With a population::

    CUSTOMER -> GATHER -> POPULATION -> REDIS, model records
        |                     | views, broadcast
        +-> ASSIGN <----------+
              +-> REDIS, segment changes, memberships

A live job has a second source, control records, which reach every subtask of CUSTOMER, POPULATION and ASSIGN through
CONTROL; and an operator PUBLISHED behind all that write to Redis, which says there what was written as of a moment that
was asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream, OutputTag
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment

from operators.assign import STATE as ASSIGN_STATE
from operators.assign import AssignOperator
from operators.bytes_state import bytes_by_string
from operators.controlled import STATE as CONTROL_STATE
from operators.controlled import ControlFactory, ControlledCustomerOperator, ControlOperator
from operators.customer import CustomerBinding, CustomerOperator
from operators.gather import GatherOperator
from operators.item import ItemOperator
from operators.logic import (
    AssignFactory,
    CustomerFactory,
    ExperimentFactory,
    GatherFactory,
    ItemFactory,
    MergerFactory,
    PublishFactory,
    SnapshotFactory,
)
from operators.population import PopulationOperator
from operators.publish import PublishOperator
from operators.published import PublishedOperator
from operators.redis_connection import RedisTarget
from operators.redis_writer import RedisBatching, RedisWriter
from operators.tags import (
    CHANGE_RECORDS,
    COUNTS,
    MEMBERSHIP_RECORDS,
    MODEL_RECORDS,
    MODELS,
    NOTHING,
    REDIS,
    REJECTED,
    REJECTED_RECORDS,
    SEGMENT_CHANGES,
    SIMILAR_RECORDS,
    SNAPSHOTS,
    STANDINGS,
    TOTALS,
)
from operators.types import BYTES, KEYED_BYTES
from state.experiments.logic import ExperimentLogic

MAX_PARALLELISM = 128
"""Fixed for ever: state is divided into so many groups of keys."""

ITEMS_GROUP = "items"
"""Of slots: what is in it shares none with the rest."""

Source = Callable[[StreamTableEnvironment], DataStream]
"""Gives a stream of (subject, payload) with event times and watermarks; payload: place, 0x1F, raw bytes."""
Sink = Callable[[DataStream, str], None]
"""Takes a stream and a uid, and brings what is in it somewhere: JSON lines, or (key, JSON) records of a live job."""


@dataclass(frozen=True, slots=True)
class PopulationLogics:
    """What the operators of the population bind. The customers' logic must give out standings with them."""

    snapshots: SnapshotFactory
    gather: GatherFactory
    merger: MergerFactory
    assign: AssignFactory


@dataclass(frozen=True, slots=True)
class Logics:
    """What the operators bind: factories that are pickled. Without the item side, messages for it are dropped."""

    customer: CustomerFactory
    item: ItemFactory | None = None
    publish: PublishFactory | None = None
    control: ControlFactory | None = None
    """Needed with a control source."""
    population: PopulationLogics | None = None
    experiment: ExperimentFactory = ExperimentLogic


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where results go; what has no outlet is dropped. A run that ends gives lines, a live job (key, JSON) records."""

    segment_changes: Sink | None = None
    rejected: Sink | None = None
    counts: Sink | None = None
    """Lines of a run that ends."""
    memberships: Sink | None = None
    """Records of a live job."""
    similar: Sink | None = None
    """Records of a live job."""
    population_changes: Sink | None = None
    """Lines of a run that ends: changes of segments that ask about the population, which come from another operator."""
    population_memberships: Sink | None = None
    """Records of a live job: memberships in these."""
    models: Sink | None = None
    """Of a population: lines of a run that ends, records of a live job."""
    redis: RedisTarget | None = None


@dataclass(frozen=True, slots=True)
class GraphOptions:
    """How the graph is laid out."""

    bounded: bool
    """Whether the input ends."""
    one_subtask: bool
    """Parallelism 1: operators then share a thread, which is cheaper by far (see `keyed`)."""
    items_apart: bool = False
    """The item side gets slots of its own; with one in each TaskManager, Python's lock is not shared with it then."""
    redis_batching: RedisBatching = field(default_factory=RedisBatching)
    progress_dir: Path | None = None


class Graph:
    """Adds the parts of the graph to one environment."""

    def __init__(self, tables: StreamTableEnvironment, outlets: Outlets, options: GraphOptions) -> None:
        """Nothing is added yet."""
        self._tables, self._outlets, self._options = tables, outlets, options
        self._keys = ("0",) if options.one_subtask else keys_of_all_groups()

    def build(self, source: Source, logics: Logics, control: Source | None = None) -> None:
        """Add the whole graph.

        `control`: gives a stream of (anything, payload) with the watermarks of the source, or behind them.
        """
        records: DataStream | None = None
        if control is not None and logics.control is not None:
            records = self._control(control, logics.control)
        customers = self._customers(source, logics, records)
        assigned: DataStream | None = None
        written = [self.to_redis(side_output(customers, REDIS), "customer")]
        if logics.population is not None:
            models, assigned = self._population(customers, logics.population, records)
            of_models = side_output(models, REDIS)
            written.append(self.to_redis(of_models, "population", stay=self._options.one_subtask))
            written.append(self.to_redis(assigned, "assign"))
        for tag, sink in self._side_outputs():
            outputs = side_output(customers, tag)
            if tag is REJECTED_RECORDS and records is not None:
                outputs = outputs.union(side_output(records, tag))
            if assigned is not None and tag is CHANGE_RECORDS:
                outputs = outputs.union(side_output(assigned, tag))
            (sink or discard)(outputs, tag.tag_id)
        if logics.item is None or logics.publish is None:
            discard(customers, "items")
        else:
            items = self._items(customers, logics.item, logics.experiment)
            written += [self.to_redis(side_output(items, REDIS), "item"), self._publish(items, logics.publish)]
        if records is not None and self._outlets.redis is not None:
            self._published(records, written, self._outlets.redis)

    def _side_outputs(self) -> tuple[tuple[OutputTag, Sink | None], ...]:
        """What leaves the customer operator beside its main output."""
        outlets = self._outlets
        if self._options.bounded:
            return (
                (SEGMENT_CHANGES, outlets.segment_changes),
                (REJECTED, outlets.rejected),
                (COUNTS, outlets.counts),
            )
        return (
            (CHANGE_RECORDS, outlets.segment_changes),
            (REJECTED_RECORDS, outlets.rejected),
            (MEMBERSHIP_RECORDS, outlets.memberships),
        )

    def _control(self, source: Source, factory: ControlFactory) -> DataStream:
        records = keyed(source(self._tables)).process(ControlOperator(factory), output_type=KEYED_BYTES)
        return records.name("control").uid("control").set_parallelism(1)

    def _customers(self, source: Source, logics: Logics, control: DataStream | None) -> DataStream:
        options, factory = self._options, logics.customer
        snapshots = None if logics.population is None else logics.population.snapshots
        binding = CustomerBinding(options.bounded, self._keys, options.progress_dir, snapshots)
        events = keyed(source(self._tables))
        if control is None:
            customers = events.process(CustomerOperator(factory, binding), output_type=KEYED_BYTES)
        else:
            records = control.broadcast(bytes_by_string(CONTROL_STATE))
            operator = ControlledCustomerOperator(factory, binding)
            customers = events.connect(records).process(operator, output_type=KEYED_BYTES)
        return customers.name("customer").uid("customer")

    def _population(
        self, customers: DataStream, logics: PopulationLogics, control: DataStream | None
    ) -> tuple[DataStream, DataStream]:
        """What POPULATION and ASSIGN give out."""
        options = self._options
        snapshots = keyed(side_output(customers, SNAPSHOTS), in_place=True)
        gathered = snapshots.process(GatherOperator(logics.gather), output_type=KEYED_BYTES)
        gathered.name("gather").uid("gather")
        parcels = gathered if control is None else gathered.union(control)
        merger = PopulationOperator(logics.merger, bounded=options.bounded)
        in_place = options.one_subtask and control is None
        models = keyed(parcels, in_place=in_place).process(merger, output_type=KEYED_BYTES)
        models.name("population").uid("population").set_parallelism(1)
        tag = MODELS if options.bounded else MODEL_RECORDS
        (self._outlets.models or discard)(side_output(models, tag), tag.tag_id)
        told = (models if control is None else models.union(control)).broadcast(bytes_by_string(ASSIGN_STATE))
        standings = keyed(side_output(customers, STANDINGS), in_place=True)
        operator = AssignOperator(logics.assign, bounded=options.bounded, keys=self._keys)
        assigned = standings.connect(told).process(operator, output_type=KEYED_BYTES)
        if options.bounded:
            changes = side_output(assigned, SEGMENT_CHANGES)
            (self._outlets.population_changes or discard)(changes, "population-changes")
        else:
            records = side_output(assigned, MEMBERSHIP_RECORDS)
            (self._outlets.population_memberships or discard)(records, "population-memberships")
        return models, assigned.name("assign").uid("assign")

    def _items(self, customers: DataStream, factory: ItemFactory, experiments: ExperimentFactory) -> DataStream:
        options = self._options
        operator = ItemOperator(factory, bounded=options.bounded, keys=self._keys, experiments=experiments)
        stay = options.one_subtask and not options.items_apart
        items = keyed(customers, in_place=stay).process(operator, output_type=KEYED_BYTES)
        if options.items_apart:
            items.slot_sharing_group(ITEMS_GROUP)  # and so all that follows it alone
        return items.name("item").uid("item")

    def _publish(self, items: DataStream, factory: PublishFactory) -> DataStream:
        options = self._options
        operator = PublishOperator(factory, bounded=options.bounded, keys=self._keys)
        totals = side_output(items, TOTALS).broadcast(bytes_by_string())
        published = keyed(items).connect(totals).process(operator, output_type=KEYED_BYTES)
        published.name("publish").uid("publish")
        if not options.bounded:
            (self._outlets.similar or discard)(side_output(published, SIMILAR_RECORDS), SIMILAR_RECORDS.tag_id)
        return self.to_redis(published, "publish")

    def to_redis(self, writes: DataStream, origin: str, *, stay: bool = True) -> DataStream:
        """One writer for each origin of writes: no two of them write the same key.

        `stay`: each write has a key of the subtask that it is of (operators/own_key.py), and is written by its thread.

        Returns a stream without records, whose watermark says until when all is written.
        """
        target, uid = self._outlets.redis, f"redis-writer-{origin}"
        if target is None:
            discard(writes, uid)
            return watermarks_alone(writes)
        operator = RedisWriter(target, self._options.redis_batching, bounded=self._options.bounded)
        written = keyed(writes, in_place=stay).process(operator, output_type=KEYED_BYTES)
        discard(written.name(uid).uid(uid), uid)
        return watermarks_alone(written)

    def _published(self, records: DataStream, written: list[DataStream], target: RedisTarget) -> None:
        everything = keyed(records.union(*written))
        published = everything.process(PublishedOperator(target), output_type=KEYED_BYTES)
        discard(published.name("published").uid("published").set_parallelism(1), "published")


def keyed(stream: DataStream, *, in_place: bool = False) -> KeyedStream:
    """Key (key, payload) rows by their first field, in Java: no Python key selector runs.

    With `in_place`, which is for one subtask, or for keys that lead to the subtask where the record is, records stay in
    the thread that made them: Flink then chains the operators. That is cheaper by far than to hand every record, and
    Python's lock, from thread to thread, and the order of everything is determined.

    Reaches into an undocumented place of PyFlink: the second argument says what the function receives, field 1.
    """
    jvm = get_gateway().jvm
    selector, j_key = jvm.KeyByKeySelector(), Types.ROW([Types.STRING()]).get_java_type_info()
    if in_place:
        utils = jvm.org.apache.flink.streaming.api.datastream.DataStreamUtils
        return KeyedStream(utils.reinterpretAsKeyedStream(stream._j_data_stream, selector, j_key), BYTES, stream)
    return KeyedStream(stream._j_data_stream.keyBy(selector, j_key), BYTES, stream)


def side_output(stream: DataStream, tag: OutputTag) -> DataStream:
    """A side output as it is: `DataStream.get_side_output` would put a Python map behind it."""
    return DataStream(stream._j_data_stream.getSideOutput(tag.get_java_output_tag()))


def watermarks_alone(stream: DataStream) -> DataStream:
    """The stream without its records: a side output that nothing is ever put into."""
    jvm = get_gateway().jvm.org.apache.flink.streaming.api
    side = jvm.transformations.SideOutputTransformation(
        stream._j_data_stream.getTransformation(), NOTHING.get_java_output_tag()
    )
    return DataStream(jvm.datastream.DataStream(stream._j_data_stream.getExecutionEnvironment(), side))


def keys_of_all_groups() -> tuple[str, ...]:
    """A key for each group of keys, in the order of groups: they lead to every subtask, whatever the parallelism."""
    jvm = get_gateway().jvm
    selector, row = jvm.KeyByKeySelector(), jvm.org.apache.flink.types.Row
    group_of = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup
    found: dict[int, str] = {}
    for number in count():
        one = row(2)
        one.setField(0, str(number))
        found.setdefault(group_of(selector.getKey(one), MAX_PARALLELISM), str(number))
        if len(found) == MAX_PARALLELISM:
            break
    return tuple(key for _, key in sorted(found.items()))


def discard(stream: DataStream, uid: str) -> None:
    """Drop a stream. (A side output that nobody takes is an error in thread mode.)"""
    j_sink = get_gateway().jvm.org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink()
    stream._j_data_stream.sinkTo(j_sink).name(f"end of {uid}").uid(f"{uid}-end")


def rows_with_time(tables: StreamTableEnvironment, query: str) -> DataStream:
    """A query of `k STRING, v BYTES` and a time attribute `ts` as (key, payload) rows whose timestamp is `ts`."""
    schema = (
        Schema.new_builder()
        .column("k", "STRING NOT NULL")
        .column("v", "BYTES NOT NULL")
        .column_by_metadata("rowtime", "TIMESTAMP_LTZ(3)")
        .build()
    )
    mode = get_gateway().jvm.org.apache.flink.table.connector.ChangelogMode.insertOnly()
    j_table = tables.sql_query(query)._j_table
    stream = DataStream(tables._j_tenv.toChangelogStream(j_table, schema._j_schema, mode))
    stream._j_data_stream.getTransformation().setOutputType(KEYED_BYTES.get_java_type_info())
    return stream
