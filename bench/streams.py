"""A thousand slow streams at once through one gateway process."""

import asyncio
import os

from bench.beginning import begin
from bench.client import Answer, exchange, write_chat
from bench.processes import Measured
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_gateway

NAME = "streams"
PROMISE = "1,000 concurrent slow streams in one process without an error, under 200 MB."
PROMISED = 1000
STREAMS = int(os.environ.get("BENCH_STREAMS", str(PROMISED)))
CHUNKS = 20
CHUNK_DELAY_S = 1.0
MOST_BYTES = 200_000_000
TIMEOUT_S = 120.0


def run() -> Verdict:
    """Hold the streams, watch the memory, and look at every answer."""
    with begin(NAME) as (_, stack, administrator):
        administrator.ask("open_limits", key=stack.api_key)
        with start_gateway(stack, "streams") as (process, port):
            whole, peak, together = asyncio.run(_hold_streams(stack, process, port))
    figure = f"{whole} of {STREAMS} streams whole, {together} at once, {peak / 1e6:.0f} MB"
    held = whole == STREAMS == together and peak < MOST_BYTES
    if STREAMS < PROMISED:
        raise NotProven(f"{figure}; a run smaller than {PROMISED} streams proves nothing.")
    return Verdict(figure, f"all {STREAMS} whole and at once, under 200 MB", held)


async def _hold_streams(stack: Stack, process: Measured, port: int) -> tuple[int, int, int]:
    words = f"[[demo chunks={CHUNKS} chunk_delay_s={CHUNK_DELAY_S}]]"
    request = write_chat(words, key=stack.api_key, model=stack.chat_model, stream=True)
    calls = [
        asyncio.create_task(exchange(port, request, timeout_s=TIMEOUT_S)) for _ in range(STREAMS)
    ]
    peak = together = 0
    while any(not call.done() for call in calls):
        await asyncio.sleep(0.25)
        # Reading /proc takes a while on a busy machine and must not hold up the readers.
        peak = max(peak, await asyncio.to_thread(process.read_memory_bytes))
        together = max(together, sum(not call.done() for call in calls))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    _describe_failures(answers)
    return sum(map(_is_whole, answers)), peak, together


def _is_whole(answer: Answer | BaseException) -> bool:
    if isinstance(answer, BaseException) or answer.status != 200:
        return False
    # The first event carries the role, the last but one the reason: both have a delta.
    return b"data: [DONE]" in answer.body and answer.body.count(b'"delta"') == CHUNKS + 2


def _describe_failures(answers: list[Answer | BaseException]) -> None:
    failed = [answer for answer in answers if not _is_whole(answer)]
    for answer in failed[:3]:
        text = repr(answer) if isinstance(answer, BaseException) else repr(answer.body[-300:])
        print(f"a stream failed: {text}")
