"""The page of the comparison, made from a record."""

from pathlib import Path

import pytest

from bench.comparison.figures import judge
from bench.comparison.page import write_page
from bench.comparison.plan import TRIAL
from bench.comparison.record import Memory, Observation, Part, Record, write_whole
from bench.field import FLOOR
from bench.load import Sample
from bench.ourselves import GOVERNED, UNGOVERNED

QUIET = Sample(
    calls=1000,
    calls_per_s=900,
    cpu_ms_per_call=0.1,
    p50_ms=2,
    p99_ms=4,
    own_share=0.95,
    foreign_share=0.01,
)


def _record(*, governed_ms: float, governed_per_s: float = 800) -> Record:
    record = Record(
        began="2026-01-01 00:00 UTC",
        commit="abc",
        machine={"Cores": "2"},
        versions={"nginx": "1.22"},
        plan=TRIAL._asdict(),
        took_s=60,
        memory=[Memory(GOVERNED, 50_000_000, 60_000_000, 600)],
        missing={"Rival": "no registry is reached"},
    )
    governed = QUIET._replace(cpu_ms_per_call=governed_ms, calls_per_s=governed_per_s)
    for number in (1, 2, 3):
        for name, sample in ((FLOOR, QUIET), (GOVERNED, governed), (UNGOVERNED, QUIET)):
            one = Observation(Part.CONNECTIONS, 64, number, name, sample)
            record.observations.append(one)
        for part, p50_ms in ((Part.DIRECT, 1.0), (Part.PART_LOAD, 1.6), (Part.DIRECT, 1.2)):
            sample = QUIET._replace(p50_ms=p50_ms)
            record.observations.append(Observation(part, 64, number, GOVERNED, sample))
    return record


@pytest.mark.parametrize(("governed_ms", "held"), [(0.3, True), (0.31, False)])
def test_cost_holds_up_to_three_times_the_floor(governed_ms: float, held: bool) -> None:
    cost, throughput, added = judge(_record(governed_ms=governed_ms))
    assert cost.held is held
    assert throughput.held
    assert (added.text, added.held) == ("0.50 ms", True)


def test_throughput_falls_short_below_three_quarters_of_the_ungoverned() -> None:
    _, throughput, _ = judge(_record(governed_ms=0.1, governed_per_s=600))
    assert (throughput.text, throughput.held) == ("67%", False)


def test_record_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    record = _record(governed_ms=0.2)
    record.save(tmp_path / "kept" / "record.json")
    kept = Record.load(tmp_path / "kept" / "record.json")
    assert kept.observations == record.observations
    assert write_page(kept) == write_page(record)


def test_page_names_what_is_missing_and_which_runs_were_disturbed() -> None:
    record = _record(governed_ms=0.2)
    assert "None." in write_page(record)
    disturbed = QUIET._replace(foreign_share=0.4)
    record.missing["Other"] = "it did not start:\n  File somewhere"
    record.observations.append(Observation(Part.BODIES, 20_000, 2, FLOOR, disturbed))
    page = write_page(record)
    assert "- **Rival**: no registry is reached." in page
    assert "- **Other**: it did not start.\n" in page
    assert f"- bodies 20,000, round 2: {FLOOR} (40%)" in page


def test_calls_of_a_gateway_with_room_left_are_marked_as_no_capacity() -> None:
    record = _record(governed_ms=0.2)
    assert "> " not in write_page(record).partition("## Larger")[0].partition("## One core")[
        2
    ].replace("`>`", "")
    idle = QUIET._replace(own_share=0.5)
    record.observations.append(Observation(Part.CONNECTIONS, 16, 1, FLOOR, idle))
    assert "> 900" in write_page(record)


def test_cost_is_left_out_where_a_connection_was_hardly_answered() -> None:
    record = _record(governed_ms=0.2)
    slow = QUIET._replace(cpu_ms_per_call=12.345, calls=48)
    record.observations.append(Observation(Part.TWO_WORKERS, 16, 1, FLOOR, slow))
    assert "12.3" in write_page(record)
    record.observations[-1] = Observation(Part.TWO_WORKERS, 16, 1, FLOOR, slow._replace(calls=47))
    assert "12.3" not in write_page(record)


def test_part_that_nothing_was_seen_of_has_no_section() -> None:
    record = _record(governed_ms=0.2)
    assert "## Streaming" not in write_page(record)
    record.observations.append(Observation(Part.STREAMS, 64, 1, FLOOR, QUIET))
    assert "## Streaming" in write_page(record)


def test_page_is_put_in_place_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    write_whole(path, "first")
    write_whole(path, "second")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["second"]
