"""The roll-up says what the ledger says, however rows come: late, repeated, corrected, while it counts."""

import os
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from io import StringIO
from threading import Thread

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.call import CallStatus
from proxy.journal.ledger import Ledger
from proxy.journal.reader import Batch
from proxy.journal.records import Admission, End, interrupted_end
from proxy.models import StaleHour, UsageDay, UsageHour
from proxy.tasks import count_usage
from proxy.usage.rollup import MS_PER_HOUR, count_stale_hours, recount_hour
from tests.proxy.journal.calls import admission, end_of

NOW_MS = int(datetime.now(tz=UTC).timestamp() * 1000)
FIGURES = (
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_micro_usd",
    "duration_us",
)
Sums = dict[tuple[object, ...], Counter[str]]


def id_at(unix_ms: int) -> bytes:
    """A call's id, made at this millisecond."""
    chance = int.from_bytes(os.urandom(10)) & ~(0xF << 76 | 3 << 62)
    return (unix_ms << 80 | 7 << 76 | 2 << 62 | chance).to_bytes(16)


def call_at(unix_ms: int, **changes: object) -> Admission:
    return admission(call_id=id_at(unix_ms), admitted_at_us=unix_ms * 1000, **changes)


def hour_of(call: Admission) -> int:
    return int.from_bytes(call.call_id[:6]) // MS_PER_HOUR


def counted(team: bytes) -> Sums:
    """What the roll-up says of the team's hours."""
    rows = UsageHour.objects.filter(team_id=uuid.UUID(bytes=team))
    return {(int(row.hour.timestamp()) // 3600, *about(row)): figures(row) for row in rows}


def counted_days(team: bytes) -> Sums:
    """What the roll-up says of the team's days, by their numbers."""
    rows = UsageDay.objects.filter(team_id=uuid.UUID(bytes=team))
    return {((row.day - date(1970, 1, 1)).days, *about(row)): figures(row) for row in rows}


def about(row: UsageHour | UsageDay) -> tuple[object, ...]:
    return row.team_id, row.key_id, row.model_id, row.status


def figures(row: UsageHour | UsageDay) -> Counter[str]:
    return Counter({"calls": row.calls, **{name: getattr(row, name) for name in FIGURES}})


def days_of(hours: Sums) -> Sums:
    """The same summed up by day."""
    days: Sums = {}
    for (hour, *rest), sums in hours.items():
        assert isinstance(hour, int)
        days.setdefault((hour // 24, *rest), Counter()).update(sums)
    return days


@dataclass
class Truth:
    """What was told of each call, by the ledger's promise: the first word stands, but a late end corrects it."""

    said: dict[bytes, tuple[Admission, End]] = field(default_factory=dict)

    def hear(self, call: Admission, end: End) -> None:
        known = self.said.get(call.call_id)
        if known is None or (
            known[1].status is CallStatus.INTERRUPTED and end.status is not CallStatus.INTERRUPTED
        ):
            self.said[call.call_id] = (call, end)

    def hear_late(self, end: End) -> None:
        if end.call_id in self.said:
            self.hear(self.said[end.call_id][0], end)

    def sums(self) -> Sums:
        sums: Sums = {}
        for call, end in self.said.values():
            model = uuid.UUID(bytes=call.model_id) if call.model_id else None
            team, key = uuid.UUID(bytes=call.team_id), uuid.UUID(bytes=call.key_id)
            row = sums.setdefault((hour_of(call), team, key, model, end.status.value), Counter())
            row.update({"calls": 1, **{name: getattr(end, name) for name in FIGURES}})
        return sums


counts = st.integers(0, 2**40)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.just(0), st.just([])),
        st.tuples(
            st.sampled_from(["write", "late"]),
            st.integers(0, 2**32),
            st.lists(st.tuples(st.integers(0, 11), st.booleans(), counts), min_size=1, max_size=8),
        ),
    ),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_usage_is_the_ledger_to_the_last_micro_usd(
    ledger: Ledger, steps: list[tuple[str, int, list[tuple[int, bool, int]]]]
) -> None:
    truth, [team, *keys] = Truth(), [os.urandom(16) for _ in range(3)]
    models = [os.urandom(16), None]
    calls = [
        call_at(
            NOW_MS - (number % 3) * MS_PER_HOUR * 30,
            team_id=team,
            key_id=keys[number % 2],
            model_id=models[number // 2 % 2],
            person_id=os.urandom(16) if number % 5 == 0 else None,
        )
        for number in range(12)
    ]
    for what, seed, told in steps:
        batch = Batch()
        for number, is_interrupted, count in told:
            call = calls[number]
            end = (
                interrupted_end(call)
                if is_interrupted
                else end_of(
                    call,
                    status=list(CallStatus)[(seed + count) % len(CallStatus)],
                    **dict.fromkeys(FIGURES, count),
                )
            )
            if what == "write":
                batch.calls.append((call, end))
            else:
                batch.late_ends.append(end)
        if what == "count":
            count_stale_hours(100)
        elif len({end.call_id for _, end in batch.calls}) == len(batch.calls):
            ledger.write(batch)
            for call, end in batch.calls:
                truth.hear(call, end)
            for end in batch.late_ends:
                truth.hear_late(end)
    count_stale_hours(100)
    assert counted(team) == truth.sums()
    assert counted_days(team) == days_of(truth.sums())


def test_a_call_repeated_in_one_batch_counts_once(ledger: Ledger) -> None:
    call = call_at(NOW_MS)
    ledger.write(Batch(calls=[(call, end_of(call)), (call, end_of(call))]))
    count_stale_hours(100)
    [row] = counted(call.team_id).values()
    assert row["calls"] == 1


def test_an_hour_is_noted_with_its_rows_and_not_for_rows_that_stood(ledger: Ledger) -> None:
    call = call_at(MS_PER_HOUR * 400_001)
    hour = datetime.fromtimestamp(400_001 * 3600, tz=UTC)
    ledger.write(Batch(calls=[(call, interrupted_end(call))]))
    assert StaleHour.objects.filter(hour=hour).count() == 1
    count_stale_hours(100)
    assert not StaleHour.objects.filter(hour=hour).exists()
    ledger.write(Batch(calls=[(call, interrupted_end(call))]))
    assert not StaleHour.objects.filter(hour=hour).exists()
    ledger.write(Batch(late_ends=[end_of(call)]))
    assert StaleHour.objects.filter(hour=hour).count() == 1
    ledger.write(Batch(late_ends=[end_of(call)]))
    assert StaleHour.objects.filter(hour=hour).count() == 1


@pytest.mark.parametrize("unix_ms", [0, 2**48 - 1])
def test_the_first_and_the_last_moment_of_an_id_can_be_counted(
    ledger: Ledger, unix_ms: int
) -> None:
    call = admission(call_id=id_at(unix_ms))
    ledger.write(Batch(calls=[(call, end_of(call))]))
    count_stale_hours(100)
    found = UsageHour.objects.filter(key_id=uuid.UUID(bytes=call.key_id))
    assert [(row.calls, row.hour.year < 2256) for row in found] == [(1, True)]


def test_no_figure_keeps_an_hour_from_being_counted(ledger: Ledger) -> None:
    most = dict.fromkeys(FIGURES, 2**63 - 1)
    key, team, model = (os.urandom(16) for _ in range(3))
    for _ in range(2):
        call = call_at(NOW_MS, key_id=key, team_id=team, model_id=model, person_id=os.urandom(16))
        ledger.write(Batch(calls=[(call, end_of(call, **most))]))
    count_stale_hours(100)
    for row in (*counted(team).values(), *counted_days(team).values()):
        assert row == Counter(most | {"calls": 2})


def test_a_row_that_commits_while_its_hour_is_counted_is_counted_next_time(
    ledger: Ledger, database_url: str
) -> None:
    first = call_at(NOW_MS)
    ledger.write(Batch(calls=[(first, end_of(first))]))
    second = call_at(NOW_MS, team_id=first.team_id, key_id=first.key_id, model_id=first.model_id)
    with psycopg.connect(database_url) as other:
        slow = Ledger(database_url)
        slow._connection = other
        with other.transaction():
            slow.write(Batch(calls=[(second, end_of(second))]))
            count_stale_hours(100)
            [row] = counted(first.team_id).values()
            assert row["calls"] == 1
    count_stale_hours(100)
    [row] = counted(first.team_id).values()
    assert row["calls"] == 2


def test_an_hour_of_a_day_that_another_counts_is_left_with_its_note(
    ledger: Ledger, database_url: str
) -> None:
    call = call_at(MS_PER_HOUR * 400_100)
    ledger.write(Batch(calls=[(call, end_of(call))]))
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s, %s)", [0x6C6B7568, hour_of(call) // 24])
        count_stale_hours(100)
        assert counted(call.team_id) == {}
        other.rollback()
    count_stale_hours(100)
    assert len(counted(call.team_id)) == 1


@pytest.mark.time_limit_s(120)
def test_counting_from_many_sides_while_rows_come_loses_and_doubles_none(
    ledger: Ledger, database_url: str
) -> None:
    team, key, model = (os.urandom(16) for _ in range(3))
    truth, faults = Truth(), list[BaseException]()

    def count() -> None:
        try:
            for _ in range(15):
                count_stale_hours(100)
                recount_hour(NOW_MS // MS_PER_HOUR)
        finally:
            connections.close_all()

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as fault:  # noqa: BLE001 - shown to the test's own thread.
                faults.append(fault)

        return run

    counting = [Thread(target=guarded(count)) for _ in range(3)]
    for thread in counting:
        thread.start()
    for number in range(60):
        call = call_at(NOW_MS, team_id=team, key_id=key, model_id=model)
        end = interrupted_end(call) if number % 3 else end_of(call)
        ledger.write(Batch(calls=[(call, end)]))
        ledger.write(Batch(late_ends=[end_of(call, cost_micro_usd=number)]))
        truth.hear(call, end)
        truth.hear_late(end_of(call, cost_micro_usd=number))
    for thread in counting:
        thread.join(30)
    assert faults == []
    count_stale_hours(100)
    assert counted(team) == truth.sums()
    assert counted_days(team) == days_of(truth.sums())


def test_the_command_counts_whole_days_again(ledger: Ledger) -> None:
    call = call_at(MS_PER_HOUR * 24 * 16_000 + 5 * MS_PER_HOUR)
    ledger.write(Batch(calls=[(call, end_of(call))]))
    count_usage()
    expected = counted(call.team_id)
    UsageHour.objects.filter(team_id=uuid.UUID(bytes=call.team_id)).delete()
    out = StringIO()
    call_command("recount_usage", "--from", "2013-10-22", "--to", "2013-10-22", stdout=out)
    assert out.getvalue() == "Hours counted again: 24.\n"
    assert counted(call.team_id) == expected != {}


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("yesterday", "2026-01-01", "no date"),
        ("2026-01-02", "2026-01-01", "0 days"),
        ("2024-01-01", "2026-01-01", "Name 1 to 400"),
        ("1969-12-31", "1970-01-01", "before 1970"),
    ],
)
def test_the_command_refuses_what_is_no_range(first: str, last: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("recount_usage", "--from", first, "--to", last)
