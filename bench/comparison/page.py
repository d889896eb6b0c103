"""Writes docs/benchmarks.md from a record."""

from collections.abc import Callable, Sequence
from textwrap import fill

from bench.comparison import words
from bench.comparison.figures import judge, latency_of, median_of
from bench.comparison.plan import BODIES, CONNECTIONS, DECIMAL_KB, USUAL_CONNECTIONS
from bench.comparison.record import Part, Record
from bench.load import BODY_BYTES, Sample
from bench.ourselves import GOVERNED
from bench.stream_upstream import EVENTS
from bench.table import draw_table

WIDTH = 124
NOTHING = "-"
SATURATED_LEAST = 0.90
# A percentile of fewer calls says nothing; CPU is counted in ticks of 10 ms.
CALLS_FOR_MEDIAN, CALLS_FOR_P99 = 30, 200
# A run ends with a call under way on each connection: its CPU counts and the call does not.
ANSWERS_LEAST = 3
Cell = Callable[[Sample, int], str]


def write_page(record: Record) -> str:
    """The whole page as Markdown."""
    stages = {
        Part.CONNECTIONS: _one_core,
        Part.BODIES: _bodies,
        Part.PART_LOAD: _latency,
        Part.STREAMS: _streams,
        Part.TWO_WORKERS: _two_workers,
        Part.KEYS: _keys,
    }
    # What nothing was seen of is named among what was not measured.
    seen = [write(record) for part, write in stages.items() if record.names(part)]
    sections = [
        *(_head(record), _verdicts(record), *seen, _memory(record)),
        *(_not_measured(record), _disturbed(record), _method(record), _limits()),
    ]
    return "\n\n".join(sections) + "\n"


def _head(record: Record) -> str:
    machine = draw_table(("Machine", ""), [list(row) for row in record.machine.items()])
    versions = draw_table(("Version of", ""), [list(row) for row in record.versions.items()])
    said = (
        f"Written by `make prove WHAT=compare` on {record.began} from commit `{record.commit}`, after "
        f"{record.took_s / 60:.0f} minutes of measuring. {words.TRIAL if record.plan['is_trial'] else ''}"
    )
    return "\n\n".join(("# Benchmarks", _wrap(said), _wrap(words.READING), machine, versions))


def _verdicts(record: Record) -> str:
    rows = [
        [figure.what, figure.text, figure.target, "yes" if figure.held else "**no**"]
        for figure in judge(record)
    ]
    return "## Against the targets\n\n" + draw_table(("", "measured", "target", "holds"), rows)


def _one_core(record: Record) -> str:
    return "\n\n".join(
        (
            "## One core",
            _wrap(
                f"Not streaming, bodies of {BODY_BYTES} bytes, by the number of connections. {words.FULL_LOAD}"
            ),
            "CPU per call in ms:",
            _table(record, Part.CONNECTIONS, CONNECTIONS, _cpu, str),
            "Calls per second:",
            _table(record, Part.CONNECTIONS, CONNECTIONS, lambda one, _: _rate(one), str),
            "Latency of the median and of the 99th percentile in ms, at full load:",
            _table(record, Part.CONNECTIONS, CONNECTIONS, lambda one, _: _percentiles(one), str),
        )
    )


def _bodies(record: Record) -> str:
    return "\n\n".join(
        (
            "## Larger bodies",
            _wrap(
                f"One core, {USUAL_CONNECTIONS} connections. CPU per call in ms, calls per second:"
            ),
            _table(
                record,
                Part.BODIES,
                BODIES,
                lambda one, _: f"{_cpu(one, USUAL_CONNECTIONS)}, {_rate(one)}",
                lambda size: f"{size // DECIMAL_KB} KB",
            ),
        )
    )


def _latency(record: Record) -> str:
    heads = (
        *("30 % of full load", "added p50 ms", "A/A", "added p99 ms", "A/A", "CPU ms", "calls"),
    )
    rows = []
    for name in record.names(Part.PART_LOAD):
        latency = latency_of(record, name)
        sample = median_of(record, Part.PART_LOAD, name, USUAL_CONNECTIONS)
        if latency is None or sample is None:
            continue
        has_median = latency.calls >= CALLS_FOR_MEDIAN
        has_p99 = latency.calls >= CALLS_FOR_P99
        rows.append(
            [
                name,
                f"{latency.added_p50_ms:.2f}" if has_median else NOTHING,
                f"{latency.apart_p50_ms:.2f}",
                f"{latency.added_p99_ms:.2f}" if has_p99 else NOTHING,
                f"{latency.apart_p99_ms:.2f}",
                _cpu(sample, USUAL_CONNECTIONS) if has_p99 else NOTHING,
                f"{latency.calls:,.0f}",
            ]
        )
    return "\n\n".join(("## Added latency", _wrap(words.LATENCY), draw_table(heads, rows)))


def _streams(record: Record) -> str:
    said = f"One core, {USUAL_CONNECTIONS} connections, streams of {EVENTS} words. {words.STREAMS}"
    heads = ("streaming", "CPU ms a stream", "streams/s", "p50 ms", "p99 ms")
    rows = []
    for name in record.names(Part.STREAMS):
        sample = median_of(record, Part.STREAMS, name, USUAL_CONNECTIONS)
        if sample is not None:
            latency = [f"{sample.p50_ms:.0f}", f"{sample.p99_ms:.0f}"]
            rows.append([name, _cpu(sample, USUAL_CONNECTIONS), _rate(sample), *latency])
    return "\n\n".join(("## Streaming", _wrap(said), draw_table(heads, rows)))


def _two_workers(record: Record) -> str:
    return "\n\n".join(
        (
            "## Two workers",
            _wrap(words.TWO_WORKERS),
            "CPU per call in ms:",
            _table(record, Part.TWO_WORKERS, CONNECTIONS, _cpu, str),
            "Calls per second:",
            _table(
                record, Part.TWO_WORKERS, CONNECTIONS, lambda one, _: f"{one.calls_per_s:,.0f}", str
            ),
        )
    )


def _keys(record: Record) -> str:
    rows = []
    for count in sorted({one.setting for one in record.select(Part.KEYS)}):
        sample = median_of(record, Part.KEYS, GOVERNED, count)
        if sample is not None:
            rows.append(
                [f"{count:,}", _cpu(sample, USUAL_CONNECTIONS), _rate(sample), _percentiles(sample)]
            )
    table = draw_table(("keys", "CPU ms", "calls/s", "p50, p99 ms"), rows)
    return "\n\n".join(("## Many keys", _wrap(words.KEYS), table))


def _memory(record: Record) -> str:
    rows = [
        [
            one.name,
            f"{one.idle_bytes / 1e6:.0f}",
            f"{one.later_bytes / 1e6:.0f}",
            f"{one.later_s / 60:.0f}",
        ]
        for one in record.memory
    ]
    table = draw_table(("MB resident", "idle", "later", "after min"), rows)
    return "\n\n".join(("## Memory", _wrap(words.MEMORY), table))


def _not_measured(record: Record) -> str:
    # What follows the first line is what a process wrote, and stands in the record.
    firsts = [(name, reason.partition("\n")[0]) for name, reason in record.missing.items()]
    lines = [_wrap(f"- **{name}**: {reason.rstrip(':.')}.", "  ") for name, reason in firsts]
    return "## Not measured\n\n" + ("\n".join(lines) or "Everything was measured.")


def _disturbed(record: Record) -> str:
    runs = [one for one in record.observations if one.part is not Part.DIRECT]
    found = [one for one in runs if one.is_disturbed]
    said = f"{words.DISTURBED} {len(found)} of {len(runs)} runs:"
    lines = [
        _wrap(
            f"- {one.part} {one.setting:,}, round {one.round}: {one.name} ({one.sample.foreign_share:.0%})",
            "  ",
        )
        for one in found
    ]
    return "\n\n".join(("## Disturbed runs", _wrap(said), "\n".join(lines) or "None."))


def _method(record: Record) -> str:
    plan = record.plan
    measures = (
        f"{plan['rounds']} rounds; {plan['run_s']:.0f} s a run on one core, {plan['two_workers_s']:.0f} s on two workers, "
        f"{plan['part_load_s']:.0f} s at 30 %, up to {plan['slow_factor']:.0f} times as long for gateways that answer few "
        "calls."
    )
    return "## Method\n\n" + "\n".join(
        _wrap(f"- {said}", "  ") for said in (measures, *words.METHOD)
    )


def _limits() -> str:
    return "## Limits of the method\n\n" + "\n".join(
        _wrap(f"- {said}", "  ") for said in words.LIMITS
    )


def _table(
    record: Record,
    part: Part,
    settings: Sequence[int],
    cell: Cell,
    head: Callable[[int], str],
) -> str:
    rows = []
    for name in record.names(part):
        medians = [median_of(record, part, name, setting) for setting in settings]
        rows.append(
            [
                name,
                *(
                    NOTHING if one is None else cell(one, setting)
                    for one, setting in zip(medians, settings, strict=True)
                ),
            ]
        )
    return draw_table(("", *map(head, settings)), rows)


def _cpu(sample: Sample, connections: int) -> str:
    """Milliseconds a call, where enough were answered to tell."""
    if sample.calls < ANSWERS_LEAST * connections:
        return NOTHING
    cost_ms = sample.cpu_ms_per_call
    return f"{cost_ms:.3f}" if cost_ms < 1 else f"{cost_ms:.1f}"


def _rate(sample: Sample) -> str:
    """The calls per second, marked where the gateway did not have its core full."""
    return f"{'' if sample.own_share >= SATURATED_LEAST else '> '}{sample.calls_per_s:,.0f}"


def _percentiles(sample: Sample) -> str:
    p99 = f"{sample.p99_ms:.1f}" if sample.calls >= CALLS_FOR_P99 else NOTHING
    return f"{sample.p50_ms:.1f}, {p99}"


def _wrap(text: str, indent: str = "") -> str:
    return fill(
        " ".join(text.split()),
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
