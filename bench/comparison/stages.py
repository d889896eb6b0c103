"""The comparison from its beginning to its end: one core, streams, two workers, and a million keys."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from bench.administrator import lead_calls_to
from bench.beginning import Beginning, begin
from bench.comparison.keys import start_houses
from bench.comparison.measuring import Measuring, MemoryWatch
from bench.comparison.plan import BODIES, CONNECTIONS, USUAL_CONNECTIONS, Plan
from bench.comparison.record import Part, Record
from bench.comparison.versions import read_commit, read_machine, read_versions
from bench.field import list_starters, start_field
from bench.fixed_upstream import Upstream, start_fixed_upstream
from bench.load import Load, Target
from bench.ourselves import GOVERNED
from bench.proof import NotProven
from bench.rivals.gateway import PATH, Place
from bench.rivals.litellm import try_database_engine
from bench.stream_upstream import start_stream_upstream
from portal.lib.clock import utc_now

GATEWAY_CORE, LOAD_CORE = 0, 1
WITH_DATABASE = "LiteLLM with keys and budgets on PostgreSQL"
UNTRIED = "its engine is here, and this comparison has not learned to start it"


def measure_everything(plan: Plan, keep: Callable[[Record], None]) -> Record:
    """Carry out the plan; `keep` is handed the record after each stage."""
    began = time.monotonic()
    record = _new_record(plan)
    _note_database(record)
    with begin("compare", core=LOAD_CORE) as beginning:
        record.versions |= beginning.administrator.ask("read_store_versions")
        for name, stage in STAGES.items():
            print(f"{name}, after {time.monotonic() - began:.0f} s", flush=True)
            try:
                with ExitStack() as running:
                    stage(plan, record, beginning, running)
            except NotProven as reason:
                # What the other stages saw is not lost.
                record.missing[name] = str(reason)
            record.took_s = time.monotonic() - began
            keep(record)
    return record


def _new_record(plan: Plan) -> Record:
    return Record(
        began=f"{utc_now():%Y-%m-%d %H:%M} UTC",
        commit=read_commit(),
        machine=read_machine(),
        versions=read_versions(),
        plan=plan._asdict(),
    )


def _note_database(record: Record) -> None:
    try:
        record.missing[WITH_DATABASE] = try_database_engine() or UNTRIED
    except NotProven as reason:
        record.missing[WITH_DATABASE] = str(reason)


def _one_core(plan: Plan, record: Record, beginning: Beginning, running: ExitStack) -> None:
    folder = beginning.folder / "one-core"
    upstream = running.enter_context(start_fixed_upstream(folder, core=LOAD_CORE))
    place = Place(folder, upstream.port, core=GATEWAY_CORE, load_core=LOAD_CORE)
    targets = _start(record, beginning, place, upstream, running)
    watch = MemoryWatch(targets)
    measuring = Measuring(plan, record, core=LOAD_CORE)
    connections = {number: Load(connections=number) for number in CONNECTIONS}
    measuring.in_turns(targets, Part.CONNECTIONS, connections, duration_s=plan.run_s)
    bodies = {size: Load(body_bytes=size) for size in BODIES}
    measuring.in_turns(targets, Part.BODIES, bodies, duration_s=plan.run_s)
    measuring.added_latency(targets, _direct(beginning, upstream))
    record.memory = watch.finish(after_s=plan.memory_after_s)


def _streams(plan: Plan, record: Record, beginning: Beginning, running: ExitStack) -> None:
    folder = beginning.folder / "streams"
    folder.mkdir()
    upstream = running.enter_context(start_stream_upstream(folder, core=LOAD_CORE))
    place = Place(folder, upstream.port, core=GATEWAY_CORE, load_core=LOAD_CORE)
    targets = _start(record, beginning, place, upstream, running, stream=True)
    Measuring(plan, record, core=LOAD_CORE).in_turns(
        targets, Part.STREAMS, {USUAL_CONNECTIONS: Load(stream=True)}, duration_s=plan.run_s
    )


def _two_workers(plan: Plan, record: Record, beginning: Beginning, running: ExitStack) -> None:
    folder = beginning.folder / "two-workers"
    upstream = running.enter_context(start_fixed_upstream(folder, core=None))
    place = Place(folder, upstream.port, core=None, load_core=LOAD_CORE, workers=2)
    targets = _start(record, beginning, place, upstream, running)
    connections = {number: Load(connections=number) for number in CONNECTIONS}
    Measuring(plan, record, core=None).in_turns(
        targets, Part.TWO_WORKERS, connections, duration_s=plan.two_workers_s
    )


def _keys(plan: Plan, record: Record, beginning: Beginning, running: ExitStack) -> None:
    folder = beginning.folder / "keys"
    upstream = running.enter_context(start_fixed_upstream(folder, core=LOAD_CORE))
    place = Place(folder, upstream.port, core=GATEWAY_CORE, load_core=LOAD_CORE)
    houses = start_houses(plan.keys, place, running)
    measuring = Measuring(plan, record, core=LOAD_CORE)
    for number in range(plan.rounds):
        for keys, target, load in houses:
            measuring.observe(target, Part.KEYS, keys, number, load=load, duration_s=plan.run_s)


def _start(
    record: Record,
    beginning: Beginning,
    place: Place,
    upstream: Upstream,
    running: ExitStack,
    *,
    stream: bool = False,
) -> list[Target]:
    lead_calls_to(beginning.administrator, upstream.port, key=beginning.stack.api_key)
    field = start_field(list_starters(beginning.stack), place, running, stream=stream)
    measured_before = {one.name for one in record.observations}
    for name, reason in field.missing.items():
        # What never started says why once.
        where = f"{name}, {place.folder.name}" if name in measured_before else name
        record.missing.setdefault(where, reason)
    if not any(target.name == GOVERNED for target in field.targets):
        raise NotProven(f"Latchkey itself did not start: {field.missing[GOVERNED]}")
    return [target._replace(beside=(*target.beside, upstream.process)) for target in field.targets]


def _direct(beginning: Beginning, upstream: Upstream) -> Target:
    """The upstream itself, without any gateway."""
    return Target(
        name="upstream",
        url=f"http://127.0.0.1:{upstream.port}{PATH}",
        authorization="Bearer nobody",
        model=beginning.stack.chat_model,
        process=upstream.process,
        core=LOAD_CORE,
        checks_key=False,
    )


Stage = Callable[[Plan, Record, Beginning, ExitStack], None]
STAGES: dict[str, Stage] = {
    "One core": _one_core,
    "Streaming": _streams,
    "Two workers": _two_workers,
    "Many keys": _keys,
}
