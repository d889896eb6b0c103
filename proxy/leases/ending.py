"""How background tasks end, although redis-py swallows a cancellation that meets it connecting."""

import asyncio


def is_ending() -> bool:
    """Whether this task was cancelled, be the cancellation swallowed or not."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel a task until it is over."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
