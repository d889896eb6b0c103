"""What is measured how often and for how long; BENCH_TRIAL=1 makes all of it short."""

import os
from typing import NamedTuple

CONNECTIONS = (1, 16, 64, 256)
# What capacity is read off, the body that is compared most, and what everything but the first part is called with.
USUAL_CONNECTIONS = 64
BODIES = (20_000, 150_000)
PART_LOAD = 0.3
DECIMAL_KB = 1000


class Plan(NamedTuple):
    """One run's measures.

    run_s, two_workers_s: a run at full load. part_load_s: one at 30 %. direct_s: one that leaves the gateway out.
    memory_after_s: how long after its start a gateway's memory is read again.
    slow_factor: how many times longer a run may last for a gateway that answers few calls.
    """

    is_trial: bool
    rounds: int
    run_s: float
    two_workers_s: float
    part_load_s: float
    direct_s: float
    memory_after_s: float
    slow_factor: float
    keys: tuple[int, ...]


FULL = Plan(
    is_trial=False,
    rounds=3,
    run_s=3,
    two_workers_s=2,
    part_load_s=3,
    direct_s=1,
    memory_after_s=600,
    slow_factor=5,
    keys=(100, 10_000, 1_000_000),
)
TRIAL = Plan(
    is_trial=True,
    rounds=1,
    run_s=2,
    two_workers_s=1,
    part_load_s=1,
    direct_s=1,
    memory_after_s=0,
    slow_factor=4,
    keys=(100, 1_000, 10_000),
)


def read_plan() -> Plan:
    """The plan that the environment asks for."""
    plan = TRIAL if os.environ.get("BENCH_TRIAL") == "1" else FULL
    memory_after_s = float(os.environ.get("BENCH_MEMORY_S", str(plan.memory_after_s)))
    rounds = int(os.environ.get("BENCH_ROUNDS", str(plan.rounds)))
    return plan._replace(memory_after_s=memory_after_s, rounds=rounds)
