"""How a background task is ended for certain."""

import asyncio


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel until it is over: redis-py swallows a cancellation that meets it while connecting."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
