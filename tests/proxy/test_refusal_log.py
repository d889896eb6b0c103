"""A flood of strangers leaves a few lines a second in the log, and a number."""

import asyncio
import time

import pytest

from proxy.errors import Code, Refusal
from proxy.refusal_log import LINES_PER_SECOND, RefusalLog

TOLD = "A call was refused."
SUMMED = "Further calls were refused."


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> RefusalLog:
    caplog.set_level("INFO", "latchkey.calls")
    return RefusalLog()


async def next_second() -> None:
    """Wait for the clock's next whole second, so that what follows happens within it."""
    await asyncio.sleep(1.02 - time.monotonic() % 1)


async def test_strangers_beyond_the_rate_are_summed_up_in_one_line(
    log: RefusalLog, caplog: pytest.LogCaptureFixture
) -> None:
    await next_second()
    for number in range(5 * LINES_PER_SECOND):
        log.tell(f"request-{number}", Refusal(Code.INVALID_CREDENTIAL))
    assert caplog.messages.count(TOLD) == LINES_PER_SECOND
    await asyncio.sleep(1.1)

    (line,) = [record for record in caplog.records if record.message == SUMMED]
    assert vars(line)["count"] == 4 * LINES_PER_SECOND
    assert caplog.messages.count(TOLD) == LINES_PER_SECOND


async def test_calls_in_the_journal_are_all_told_of_whatever_strangers_do(
    log: RefusalLog, caplog: pytest.LogCaptureFixture
) -> None:
    await next_second()
    for _ in range(2 * LINES_PER_SECOND):
        log.tell("stranger", Refusal(Code.INVALID_CREDENTIAL))
    recorded = Refusal(Code.LIMIT_REACHED)
    recorded.is_recorded = True
    for _ in range(2 * LINES_PER_SECOND):
        log.tell("known", recorded)

    assert caplog.messages.count(TOLD) == 3 * LINES_PER_SECOND


async def test_the_next_second_has_lines_of_its_own(
    log: RefusalLog, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await next_second()
        for _ in range(2 * LINES_PER_SECOND):
            log.tell("stranger", Refusal(Code.INVALID_CREDENTIAL))

    assert caplog.messages.count(TOLD) == 2 * LINES_PER_SECOND
