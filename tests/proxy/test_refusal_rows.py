"""A key whose calls are refused again and again gets some rows, then one a second, and a number."""

import uuid

import pytest

from proxy.refusal_rows import BURST, KEYS_MAX, PER_SECOND, RefusalRows

KEY, OTHER = uuid.uuid4(), uuid.uuid4()
SUMMED = "Refused calls of a key were counted and not written to the ledger."


@pytest.fixture
def clock() -> list[float]:
    """Seconds as the test says."""
    return [1000.0]


@pytest.fixture
def rows(clock: list[float]) -> RefusalRows:
    return RefusalRows(clock=lambda: clock[0])


def take(rows: RefusalRows, times: int, *, key_id: uuid.UUID = KEY, code: str = "a") -> int:
    return sum(rows.take(key_id, code) for _ in range(times))


async def test_a_burst_has_its_rows_and_a_flood_one_a_second(
    rows: RefusalRows, clock: list[float]
) -> None:
    assert take(rows, 1000) == BURST
    for passed_s in (1, 5):
        clock[0] += passed_s
        assert take(rows, 1000) == passed_s * PER_SECOND
    clock[0] += 1_000_000
    assert take(rows, 1000) == BURST


async def test_refusals_that_come_slowly_have_a_row_each(
    rows: RefusalRows, clock: list[float]
) -> None:
    for _ in range(500):
        assert take(rows, 1) == 1
        clock[0] += 1 / PER_SECOND


async def test_one_key_takes_no_rows_from_another(rows: RefusalRows, clock: list[float]) -> None:
    take(rows, 1000)
    assert take(rows, 10, key_id=OTHER) == 10


async def test_what_has_no_row_is_counted_for_each_key_and_told_once(
    rows: RefusalRows, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    take(rows, int(BURST) + 3)
    take(rows, 2, code="b")
    take(rows, int(BURST) + 1, key_id=OTHER)
    rows.sum_up()
    rows.sum_up()

    told = [vars(record) for record in caplog.records if record.message == SUMMED]
    assert [(line["key_id"], line["count"], line["codes"]) for line in told] == [
        (str(KEY), 5, "a: 3, b: 2"),
        (str(OTHER), 1, "a: 1"),
    ]


async def test_only_so_many_keys_are_remembered(rows: RefusalRows, clock: list[float]) -> None:
    take(rows, 1000)
    for _ in range(KEYS_MAX - 1):
        rows.take(uuid.uuid4(), "a")
    assert take(rows, 1) == 0
    for _ in range(KEYS_MAX):
        rows.take(uuid.uuid4(), "a")
    assert take(rows, 1) == 1
