"""One process that calls as fast as it can: `python -m tests.proxy.leases.hammer URL KEY …`.

Prints the monotonic second and the amount of every admission, one a line.
"""

import asyncio
import sys
import time

from proxy.leases.book import LeaseBook
from proxy.leases.refusals import LeaseRefused
from proxy.leases.window import Measure, Window

Admissions = list[tuple[float, int]]


async def call_without_end(
    book: LeaseBook, window: Window, amount: int, *, until: float, admitted: Admissions
) -> None:
    """Reserve again and again; a tenth of what is reserved for more than one unit goes back."""
    while time.monotonic() < until:
        try:
            held = await book.reserve([(window, amount)])
        except LeaseRefused:
            # On a crowded machine the store may be late as well.
            await asyncio.sleep(0.005)
            continue
        used = amount - amount // 10
        admitted.append((held.admitted_at, used))
        book.settle(held, [used])
        await asyncio.sleep(0)


async def hammer(url: str, window: Window, *, amount: int, seconds: float) -> Admissions:
    """Call from eight tasks at once."""
    book = LeaseBook(url, process_id="hammer")
    await book.start()
    admitted: Admissions = []
    until = time.monotonic() + seconds
    calls = [
        call_without_end(book, window, amount, until=until, admitted=admitted) for _ in range(8)
    ]
    try:
        await asyncio.gather(*calls)
    finally:
        await book.stop()
    return admitted


if __name__ == "__main__":
    _, url, key, limit, length_s, amount, seconds = sys.argv
    window = Window(key, int(limit), int(length_s), Measure.TOKENS)
    for at, spent in asyncio.run(hammer(url, window, amount=int(amount), seconds=float(seconds))):
        print(f"{at:.9f} {spent}")
