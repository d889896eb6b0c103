"""What a record says in figures, each beside its target."""

from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from bench.comparison.plan import USUAL_CONNECTIONS
from bench.comparison.record import Part, Record
from bench.field import FLOOR
from bench.load import Sample
from bench.ourselves import GOVERNED, UNGOVERNED
from bench.rivals import litellm
from bench.table import take_medians

COST_MOST = 3.0
THROUGHPUT_LEAST = 0.75
ADDED_P50_MOST_MS = 1.0
TIMES_LITELLM_LEAST = 50.0
KEYS_APART_MOST = 0.10


class Figure(NamedTuple):
    """A figure, what it has to be, and whether it is."""

    what: str
    text: str
    target: str
    held: bool


class Latency(NamedTuple):
    """What a gateway adds to the upstream's own time, and how far the two runs without it lay apart, in ms."""

    added_p50_ms: float
    added_p99_ms: float
    apart_p50_ms: float
    apart_p99_ms: float
    calls: float


def judge(record: Record) -> list[Figure]:
    """Every figure that has a target and could be told."""
    return [figure for maker in FIGURES if (figure := maker(record)) is not None]


def latency_of(record: Record, name: str) -> Latency | None:
    """The medians over all rounds."""
    through = record.samples(Part.PART_LOAD, name, USUAL_CONNECTIONS)
    alone = record.samples(Part.DIRECT, name, USUAL_CONNECTIONS)
    if not through or len(alone) != 2 * len(through):
        return None
    rounds = list(zip(alone[::2], through, alone[1::2], strict=True))
    return Latency(
        added_p50_ms=median(t.p50_ms - (a.p50_ms + b.p50_ms) / 2 for a, t, b in rounds),
        added_p99_ms=median(t.p99_ms - (a.p99_ms + b.p99_ms) / 2 for a, t, b in rounds),
        apart_p50_ms=median(abs(a.p50_ms - b.p50_ms) for a, _, b in rounds),
        apart_p99_ms=median(abs(a.p99_ms - b.p99_ms) for a, _, b in rounds),
        calls=median(t.calls for t in through),
    )


def median_of(record: Record, part: Part, name: str, setting: int) -> Sample | None:
    """Each column's median over the rounds."""
    samples = record.samples(part, name, setting)
    return take_medians(samples) if samples else None


def _by_round(
    record: Record, one: str, other: str, value: Callable[[Sample], float]
) -> float | None:
    # Round by round, because what disturbs a round disturbs both of its runs most alike.
    pairs = list(
        zip(
            record.samples(Part.CONNECTIONS, one, USUAL_CONNECTIONS),
            record.samples(Part.CONNECTIONS, other, USUAL_CONNECTIONS),
            strict=False,
        )
    )
    return median(value(first) / value(second) for first, second in pairs) if pairs else None


def _cost(record: Record) -> Figure | None:
    ratio = _by_round(record, GOVERNED, FLOOR, lambda one: one.cpu_ms_per_call)
    if ratio is None:
        return None
    return Figure(
        f"CPU of a governed call, as a multiple of {FLOOR}",
        f"{ratio:.2f}",
        f"≤ {COST_MOST:.0f}",
        ratio <= COST_MOST,
    )


def _throughput(record: Record) -> Figure | None:
    share = _by_round(record, GOVERNED, UNGOVERNED, lambda one: one.calls_per_s)
    if share is None:
        return None
    return Figure(
        "Governed calls per second, of ungoverned ones",
        f"{share:.0%}",
        f"≥ {THROUGHPUT_LEAST:.0%}",
        share >= THROUGHPUT_LEAST,
    )


def _added(record: Record) -> Figure | None:
    latency = latency_of(record, GOVERNED)
    if latency is None:
        return None
    return Figure(
        "Median latency added by a governed call at 30 % load",
        f"{latency.added_p50_ms:.2f} ms",
        f"≤ {ADDED_P50_MOST_MS:.0f} ms",
        latency.added_p50_ms <= ADDED_P50_MOST_MS,
    )


def _times_litellm(record: Record) -> Figure | None:
    ratio = _by_round(record, litellm.NAME, GOVERNED, lambda one: one.cpu_ms_per_call)
    if ratio is None:
        return None
    return Figure(
        "Governed calls for the CPU of one of LiteLLM's, which has no database",
        f"{ratio:.0f}",
        f"≥ {TIMES_LITELLM_LEAST:.0f}",
        ratio >= TIMES_LITELLM_LEAST,
    )


def _keys(record: Record) -> Figure | None:
    counts = sorted({one.setting for one in record.select(Part.KEYS)})
    medians = [median_of(record, Part.KEYS, GOVERNED, count) for count in counts]
    costs = [sample.cpu_ms_per_call for sample in medians if sample is not None]
    if len(costs) < 2:
        return None
    apart = costs[-1] / costs[0] - 1
    return Figure(
        f"CPU of a call at {counts[-1]:,} keys, beside {counts[0]:,}",
        f"{apart:+.1%}",
        f"± {KEYS_APART_MOST:.0%}",
        abs(apart) <= KEYS_APART_MOST,
    )


FIGURES: tuple[Callable[[Record], Figure | None], ...] = (
    _cost,
    _throughput,
    _added,
    _times_litellm,
    _keys,
)
