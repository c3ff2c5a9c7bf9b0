"""Rounds through all customers, in a real Flink: what comes meanwhile does not wait for all of them."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment
from standin_logics import Looking, PassedOn, WokenByRecord

from jobs.file_ends import lines_to_folder, spool_source
from jobs.file_results import joined
from jobs.graph import Logics, discard, keyed, side_output
from jobs.runtime.flink import JobSpec, _await, _configuration, _submit, _Watch
from jobs.runtime.gateway import Gateway
from jobs.runtime.workspace import workspace
from jobs.spool import SpoolWriter
from operators.assign import STATE
from operators.bytes_state import bytes_by_string
from operators.tags import NOTHING, SEGMENT_CHANGES
from operators.types import KEYED_BYTES

pytestmark = pytest.mark.slow

Said = tuple[str, str, float]


def looked_at(folder: Path, backend: str, customers: int, ticks: int) -> list[Said]:
    """What `Looking` says of customers, of one at whom a round begins, and of ticks that come meanwhile."""
    with SpoolWriter(folder / "spool") as spool:
        names = (
            [f"c{number}" for number in range(customers)] + ["wake"] + [f"tick{number % 10}" for number in range(ticks)]
        )
        for at_ms, name in enumerate(names):
            spool.write(name, 1_700_000_000_000 + at_ms, "", name.rstrip("0123456789").encode())
    (folder / "tmp").mkdir()
    spec = JobSpec(spool.path, Logics(Looking), folder, 0, flink={"state.backend.type": backend})  # type: ignore[arg-type]
    environment = StreamExecutionEnvironment.get_execution_environment(_configuration(spec, folder / "tmp"))
    environment.set_parallelism(1)
    events = keyed(spool_source(spool.path, 0)(StreamTableEnvironment.create(environment)))
    standings = events.process(PassedOn(), output_type=KEYED_BYTES).name("pass").uid("pass")
    told = side_output(standings, NOTHING).broadcast(bytes_by_string(STATE))
    operator = WokenByRecord(Looking, bounded=True)
    assigned = keyed(standings, in_place=True).connect(told).process(operator, output_type=KEYED_BYTES)
    lines_to_folder(folder / "said")(side_output(assigned.name("assign").uid("assign"), SEGMENT_CHANGES), "said")
    discard(assigned, "assign")
    _await(_submit(environment), _Watch(folder / "progress", None))
    return [tuple(json.loads(line)) for line in joined(folder / "said")]


@pytest.mark.parametrize("backend", ["hashmap", "rocksdb"])
def test_a_round_lets_others_pass(gateway: Gateway, backend: str) -> None:
    """Each customer is looked at once, many of them between others who come; and nobody waits for all of them."""
    gateway.connect()
    with workspace() as folder:
        said = looked_at(folder, backend, customers=1_500, ticks=1_200)
    order = [(what, key) for key, what, _ in said]
    met = [key for what, key in order if what == "looked at"]
    assert sorted(met) == sorted([*(f"c{number}" for number in range(1_500)), "wake"])
    ticks = [at_s for key, what, at_s in said if key.startswith("tick")]
    assert len(ticks) == 1_200
    passed = [what for what, _ in order[order.index(("came", "wake")) :]]
    between = passed[: len(passed) - passed[::-1].index("came")]
    assert between.count("looked at") > 300
    assert sum(one != other for one, other in pairwise(between)) > 20
    assert max(later - sooner for sooner, later in pairwise(ticks)) < Looking.LOOK_S * 1_500 / 2
